"""In-switch dispatch: failover, limits and records, with many bindings."""

import time

from case import scenario
from fabric import dispatch, flows
from fabric.dispatch import service
from fabric.pktgen import Generator, short
from lab.waiting import wait_until


def fail_over(case, present):
    """i1 dies under `present` idle bindings and some active flows, all its own: what it took."""
    count, rate = case.scale((200, 1000), (1000, 10000))  # so that no packet waits longer on a slow machine
    fabric = case.edge([service(sid=("10.96.0.1",), ports=("udp/9000",), idle="3600s", store="generations", limit=2000000)],
                       {"i1": "web"}, change=lambda d: d["controller"].update(stats_interval="1h"))
    fabric.mute_farm()
    generator = Generator(fabric)
    if present:
        generator.new(["i1"], present, port=9000, clients=max(1, present // 1000 + 1), source_ports=1000)
    # Bound one by one, so that nothing is lost before anything dies.
    active = {"port": 9000, "flows": count, "clients": count, "first_client": "100.80.0.0"}
    generator.new(["i1"], **active)
    running = generator.start("established", ["i1", "i2"], rate=rate, window=128, seconds=120, **active)
    began = time.time()
    held = wait_until(lambda: (n := sum(flows.count_bindings(fabric.switch).values())) >= present + count and n, 120,
                      f"{present + count} binding flows", poll_s=0.2)
    fabric.wait(lambda: fabric.row("switches", "dr")["bindings"] >= held, "bindings to be known", 120)
    wait_until(lambda: time.time() > began + 2, 10, "each active flow to be seen at i1")
    fabric.wire.add("i2", "web")
    fabric.wire.tell()
    fabric.wait_slots("web", ["i1", "i2"])
    before = fabric.switch_counters()
    fabric.wire.instances["i1"]["health"] = 2
    died = time.time()
    fabric.wire.tell()
    fabric.wait_slots("web", ["i2"])
    # Each flow has a packet every 0.1 or 0.2 s.
    wait_until(lambda: time.time() > died + 3, 10, "all active flows to go on")
    after = fabric.switch_counters()
    report = running.finish()
    assert report["flows_moved"] == count, f"{report['flows_moved']} of {count} flows moved: {short(report)}"
    assert report["lost"] <= count // 100, short(report)
    spent = {key: after[key] - before[key] for key in ("flow_mods_sent", "bundles_sent")}
    return {"bindings": present, "first_ms": round((report["first_move_at"] - died) * 1000, 1),
            "last_ms": round((report["last_move_at"] - died) * 1000, 1), "lost": report["lost"], **spent}


# 'ukey installation fails': OVS met a packet of a datapath flow that a revalidator was just deleting; it tries again.
@scenario(warnings=(r"binding_flow_limit", r"upcall_cb failure: ukey installation fails"))
def test_learn_failover_costs_the_same_for_any_number(case):
    """An instance dies under 10 to a million bindings: 1,000 active flows go on elsewhere; equally many messages."""
    results = []
    for present in case.scale((10, 3000), (10, 1000, 100000, 1000000)):
        results.append(fail_over(case, present))
        print(f"           {results[-1]}", flush=True)
        fabric = case.fabrics[-1]
        case.check_end()
        fabric.lab.down()
        case.fabrics.remove(fabric)
        case.labs.remove(fabric.lab)
    for key in ("flow_mods_sent", "bundles_sent"):
        assert len({r[key] for r in results}) == 1 and results[0][key] > 0, f"{key} differ: {results}"
    slow = [r for r in results if r["bindings"] <= 10000 and r["last_ms"] > 1500]
    assert not slow, f"the last flow moved late: {slow}"


@scenario(warnings=(r"limit",))
def test_learn_limit_and_flood(case):
    """A SYN flood from spoofed addresses beyond the limit: bound flows and new honest ones go on; it is told."""
    limit = 1000
    fabric = case.edge([service(limit=limit, idle="4s", fin="1s")], {"i1": "web", "i2": "web"}, servers=("i1", "i2"))
    # Nobody is behind the spoofed addresses, so nobody resets what the servers answer.
    fabric.lab.run("cl", "ip", "route", "add", "blackhole", "100.96.0.0/11", "table", "local")
    # Nor does the servers' one kernel ask them again, which it does in bursts: two hundred packets each 32 ms are more
    # than the buffer of a switch's port takes here (docs/operations.md, "Bursts").
    fabric.lab.run("farm", "sysctl", "-qw", "net.ipv4.tcp_synack_retries=0")
    bound = fabric.clients.start("cl", [dispatch.target(dispatch.SID4)], connections=50, rate=200)
    bound.wait_progress(lambda p: p["open"] == 50 and p["requests"] >= 200, 20, "bound flows")
    generator = Generator(fabric)
    seconds = case.scale(4, 20)
    flood = generator.start("new", ["i1", "i2"], proto="tcp", first_client="100.96.0.0", clients=1000000,
                            flows=1000000, rate=case.scale(1500, 3000), seconds=seconds)
    fabric.wait(lambda: fabric.row("services", "web")["full"], "the service to be closed for bindings", 10)
    honest = fabric.clients.start("cl", [dispatch.target(dispatch.SID4)], connections=4, rate=100, new_connections=True,
                                  addresses=[f"100.65.0.{n}" for n in range(1, 41)])
    honest.wait_progress(lambda p: p["requests"] >= 150, 30, "honest new demands under the flood")
    held = sum(flows.count_bindings(fabric.switch).values())
    assert held <= 2 * limit, f"{held} binding flows with a limit of {limit}"
    report = flood.wait(seconds + 60)
    # The flood itself may lose packets where the machine is slow: only what is honest counts.
    assert report["delivered"] >= report["sent"] * 0.9, short(report)
    row = fabric.row("services", "web")
    assert row["switches"][0]["closings"] > 0, row
    kinds = {event["kind"]: event for event in fabric.rows("events", "--limit", "1000")}
    assert any("limit" in kind for kind in kinds), sorted(kinds)
    fabric.wait(lambda: not fabric.row("services", "web")["full"], "the service to be open again", 30)
    assert fabric.row("services", "web")["demands_unbound"] > 0, fabric.row("services", "web")
    # Open again: a new demand is bound.
    late = fabric.clients.start("cl", [dispatch.target(dispatch.SID4)], connections=3, rate=30,
                                addresses=["100.65.1.1", "100.65.1.2", "100.65.1.3"])
    late.wait_progress(lambda p: p["open"] == 3 and p["requests"] >= 10, 20, "a new connection")
    fabric.wait(lambda: {"100.65.1.1", "100.65.1.2", "100.65.1.3"} <= {b[0] for b in flows.bindings(fabric.switch)},
                "bindings of new demands", 10)
    for load in (bound, honest, late):
        report = load.finish()
        assert report["failed"] == 0 and report["moved_connections"] == 0, report["failures"]


@scenario(warnings=(r"slows the switch down",))
def test_learn_sqlite_equals_the_switch(case):
    """One second after a burst, and one after its bindings' end, SQLite counts what the switch holds."""
    demands = case.scale(4000, 20000)
    names = ["i1", "i2", "i3"]
    fabric = case.edge([service(ports=("udp/9000",), idle=case.scale("4s", "30s"), store="timed", limit=30000)],
                       {name: "web" for name in names})
    fabric.mute_farm()
    generator = Generator(fabric)
    generator.new(names, demands, port=9000, clients=demands // 20, source_ports=20)
    burst = time.monotonic()

    def equal():
        in_switch = sum(flows.count_bindings(fabric.switch).values())
        in_database = fabric.sql("select count(*) from bindings")[0][0]
        return (in_switch, in_database) if in_switch == in_database else None

    both = wait_until(equal, 5, lambda: f"equal counts; SQLite {fabric.sql('select count(*) from bindings')}")
    took = time.monotonic() - burst
    assert both[0] == demands, f"{both[0]} bindings after {demands} demands"
    assert took <= 1.0 + 0.2, f"SQLite equalled the switch {took:.2f} s after the burst"
    assert fabric.wait_bindings_equal() in (0, demands)
    wait_until(lambda: not sum(flows.count_bindings(fabric.switch).values()), 60, "the bindings' end", poll_s=0.1)
    ended = time.monotonic()
    wait_until(lambda: not fabric.sql("select count(*) from bindings")[0][0], 5, "SQLite to say so")
    took = time.monotonic() - ended
    assert took <= 1.2, f"SQLite said so {took:.2f} s later"
    history = fabric.sql("select count(*), sum(reason = 'idle'), sum(decided_by = 'switch') from binding_history")[0]
    assert history[0] == demands and history[1] == demands and history[2] == demands, history
