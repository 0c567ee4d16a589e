"""Where demands go while all is well."""

from case import scenario
from fabric import figure2
from lab.waiting import wait_until

from demo.measure import Burner, load_of, shares

WEB = figure2.targets("web")
MEDIA = figure2.targets("media")


@scenario()
def test_spread_and_affinity(case):
    """Demands from both D-Routers use both edges; 200 keep-alive connections never move."""
    fabric = case.fabric()
    loads = [fabric.clients.start(node, WEB, connections=100, requests=1000) for node in ("c1a", "c2")]
    for load in loads:
        report = load.report()
        assert report["requests"] == 1000 and report["failed"] == 0, report["failures"]
        assert report["connections"] == 100 and report["moved_connections"] == 0, report
        parts = shares(report, "web")
        assert min(parts.values()) > 0.2, f"not spread: {parts}"
    fabric.wait_bindings_equal()


@scenario()
def test_bindings_are_recorded_and_end(case):
    """SQLite shows each binding as the switch holds it, with who decided; after FIN and idle it is history."""
    fabric = case.fabric()
    load = fabric.clients.start("c1a", WEB, connections=20, rate=100)
    load.wait_progress(lambda p: p["requests"] >= 100, 20, "running flows")
    assert fabric.wait_bindings_equal() == 20
    decided = fabric.sql("select distinct decided_by, service, sid from bindings")
    assert decided == [("controller", "web", figure2.WEB_SID)], decided
    wait_until(lambda: fabric.sql("select min(packets) from bindings")[0][0] > 0, 20, "packets counted in SQLite")
    load.finish()
    wait_until(lambda: fabric.sql("select count(*) from bindings")[0][0] == 0, 30, "bindings to end after FIN")
    ended = fabric.sql("select count(*), count(distinct instance) from binding_history")[0]
    assert ended[0] >= 20, f"{ended[0]} rows in binding_history, not 20"
    assert fabric.wait_bindings_equal() == 0


@scenario()
def test_three_tuple_keeps_both_ports_together(case):
    """120 clients on two ports: each client on one instance, over all its connections."""
    fabric = case.fabric()
    used = set()
    for node in ("c1a", "c1b", "c2"):
        report = fabric.clients.run(node, MEDIA, requests=400, connections=80, sources=40, new_connections=True)
        assert report["failed"] == 0, report["failures"]
        assert len(report["sources"]) == 40 and len(report["targets"]) == 2, report
        assert report["moved_clients"] == 0, report["sources"]
        used |= set(report["instances"])
    assert used == {"i22", "i32"}, f"all went to {used}"
    # One binding per client, whatever its ports.
    assert fabric.wait_bindings_equal() == 120


@scenario()
def test_metric_change_moves_new_demands_only(case):
    """Real CPU load at edge 2: new demands go to edge 3, running flows stay."""
    fabric = case.fabric()
    running = fabric.clients.start("c1a", WEB, connections=60, rate=120)
    running.wait_progress(lambda p: p["requests"] >= 120 and len(p["instances"]) == 2, 20, "running flows")
    burner = Burner(fabric, "i21")
    try:
        wait_until(lambda: load_of(fabric, "i21") > 0.7, 20, "load at edge 2")

        def moved():
            report = fabric.clients.run("c2", WEB, requests=60, connections=4, new_connections=True)
            assert report["failed"] == 0, report["failures"]
            return shares(report, "web")["i31"] >= 0.75

        wait_until(moved, 20, "three quarters of the new demands at edge 3", poll_s=0.2)
        before = running.progress()["instances"]["i21"]["requests"]
        running.wait_progress(lambda p: p["instances"]["i21"]["requests"] > before + 20, 20,
                              "running flows going on at the loaded edge")
    finally:
        burner.stop()
    report = running.finish()
    assert report["moved_connections"] == 0 and report["failed"] == 0, report


@scenario()
def test_plain_routing_is_not_touched(case):
    """A client reaches an instance by its D-BID, is answered by it, and nothing is bound."""
    fabric = case.fabric()
    pinged = fabric.lab.run("c1a", "ping", "-n", "-c", "3", "-i", "0.2", "10.3.31.2", check=False)
    assert " 0% packet loss" in pinged, pinged
    assert fabric.wait_bindings_equal() == 0
