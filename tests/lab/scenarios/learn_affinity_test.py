"""In-switch dispatch: what must not move a flow, and what moves new demands only."""

import copy
import time

from case import scenario
from fabric import dispatch, flows
from fabric.dispatch import service
from fabric.pktgen import Generator, flows_at, short
from lab.waiting import wait_until

from .failures_test import CONNECTION_LOST

WEB = [dispatch.target(dispatch.SID4)]


@scenario(warnings=CONNECTION_LOST)
def test_learn_keepalive_never_moves(case):
    """Keep-alive connections through weight changes, new instances, controller kills and a resync: none moves."""
    changes, additions, kills = case.scale((100, 3, 1), (1000, 20, 5))
    first = [f"i{n}" for n in range(1, 5)]
    added = [f"i{n}" for n in range(5, 5 + additions)]
    fabric = case.edge([service(policy="least-bindings", idle="30s", fin="2s")], {name: "web" for name in first},
                       servers=first + added)
    load = fabric.clients.start("cl", WEB, connections=200, rate=500, timeout_ms=10000)
    load.wait_progress(lambda p: p["open"] == 200 and p["requests"] >= 400, 30, "200 connections")
    assert len(load.progress()["instances"]) == 4, load.progress()["instances"]
    planned = fabric.row("switches", "dr")["plan_changes"]
    # Metrics change shares at most once a second; draining and undraining does at once.
    fabric.wire.change(times=changes, every_ms=25, what="load", seed=3)
    fabric.churn(first, changes, 25)
    fabric.wait(lambda: fabric.wire.changed() >= changes, f"{changes} changes of the metrics", 60)
    seen = fabric.row("switches", "dr")["plan_changes"] - planned
    assert seen >= changes * 0.8, f"only {seen} changes of the switch's shares"
    for name in added:
        fabric.wire.add(name, "web")
        fabric.wire.tell()
        fabric.wait_row("instances", name, lambda r: r["state"] == "up", 10, "up")
    fabric.wait_slots("web", first + added)
    for _ in range(kills):
        count = load.progress()["requests"]
        fabric.kill_controller()
        load.wait_progress(lambda p, c=count: p["requests"] >= c + 200, 20, "requests without the controller")
        fabric.start_controller()
        fabric.wait_ready(instances=4 + additions)
    fabric.ctl("sync")
    count = load.progress()["requests"]
    load.wait_progress(lambda p: p["requests"] >= count + 400, 20, "requests after the resync")
    assert fabric.wait_bindings_equal() == 200
    report = load.finish()
    assert report["failed"] == 0 and report["moved_connections"] == 0, report["failures"]
    assert report["connections"] == 200, f"{report['connections']} connections were needed for 200"


@scenario(warnings=CONNECTION_LOST)
def test_learn_goes_on_without_the_controller(case):
    """The controller is killed; new demands are steered; after its return all is known and nothing has moved."""
    demands = case.scale(1500, 10000)
    names = ["i1", "i2", "i3"]
    fabric = case.edge([service(ports=("udp/9000",), idle="300s")], {name: "web" for name in names})
    fabric.mute_farm()
    generator = Generator(fabric)
    space = {"port": 9000, "clients": 100, "source_ports": 200}
    before, away = fabric.lab.path("before"), fabric.lab.path("away")
    generator.new(names, demands, map=before, **space)
    assert fabric.wait_bindings_equal() == demands
    fabric.kill_controller()
    report = generator.new(names, demands, first_flow=demands, map=away, **space)
    assert len(flows_at(report)) == 3 and report["flows_moved"] == 0, short(report)
    fabric.start_controller()
    fabric.wait_ready(instances=3)
    assert fabric.wait_bindings_equal() == 2 * demands
    found = fabric.sql("select count(*) from decisions where live = 1 and reason = 'found'")[0][0]
    assert found >= demands, f"{found} of {demands} bindings were found in the switch"
    for first, path in ((0, before), (demands, away)):
        report = generator.new(names, demands, first_flow=first, expect=path, **space)
        assert report["expected"]["compared"] == demands and report["expected"]["moved"] == 0, report["expected"]
    decided = fabric.sql("select distinct decided_by from bindings")
    assert decided == [("switch",)], decided


@scenario()
def test_learn_drain_and_deadline(case):
    """A drained instance keeps its flows and gets no new demand; at the deadline its flows move; undrained it is back."""
    fabric = case.edge([service(idle="60s", fin="2s")], {"i1": "web", "i2": "web"}, servers=("i1", "i2"))
    load = fabric.clients.start("cl", WEB, connections=30, rate=200)
    load.wait_progress(lambda p: p["requests"] >= 100 and len(p["instances"]) == 2, 20, "running flows")
    fabric.ctl("drain", "i1")
    fabric.wait_slots("web", ["i2"])
    report = fabric.clients.run("cl", WEB, requests=100, connections=10, new_connections=True)
    assert report["failed"] == 0 and set(report["instances"]) == {"i2"}, report["instances"]
    seen = load.progress()["instances"]["i1"]["requests"]
    load.wait_progress(lambda p: p["instances"]["i1"]["requests"] > seen + 30, 20, "flows staying at i1")
    assert load.progress()["failed"] == 0, load.progress()
    report = load.finish()
    assert report["moved_connections"] == 0 and report["failed"] == 0, report
    # With a deadline; a flow that has no connection shows the move without breaking anything.
    fabric.ctl("undrain", "i1")
    fabric.wait_slots("web", ["i1", "i2"])
    fabric.mute_farm()
    generator = Generator(fabric)
    running = generator.start("established", ["i1", "i2"], flows=40, rate=400, proto="tcp", seconds=30, clients=40)

    def bound():
        """{client: instance} of these flows, as the switch has them."""
        names = fabric.instance_ids()
        return {b[0]: names[b[4]] for b in flows.bindings(fabric.switch) if b[0].startswith("100.64.")}

    def sent_to(name):
        """Packets that the switch steered to an instance."""
        number = next(i for i, n in fabric.instance_ids().items() if n == name)
        return flows.packets(fabric.switch, 40, f"reg0={number:#x}")

    fabric.wait(lambda: len(bound()) == 40, "40 bindings")
    at_i1 = list(bound().values()).count("i1")
    fabric.ctl("drain", "i1", "--deadline", "1s")
    # OVS's revalidators learn for flows that are silent: what is bound again need not have sent yet. Each flow, they
    # take turns, is to send to i2 before i1 may be selected again.
    fabric.wait(lambda: list(bound().values()) == 40 * ["i2"], "all flows bound to i2 after the deadline", 20)
    moved = sent_to("i2")
    fabric.wait(lambda: sent_to("i2") >= moved + 2 * 40, "packets of all flows to i2", 20)
    fabric.wait(lambda: fabric.row("instances", "i1")["bindings"] == 0, "none known either", 20)
    fabric.ctl("undrain", "i1")
    fabric.wait_slots("web", ["i1", "i2"])
    report = running.finish()
    assert report["lost"] == 0 and report["flows_moved"] == at_i1 > 0, f"{at_i1} were at i1: {short(report)}"
    assert report["arrivals"]["i1"][1] < report["arrivals"]["i2"][1], "packets to i1 after its deadline"


@scenario()
def test_learn_slow_start(case):
    """An instance that comes up gets a growing part of the slots until it has its share."""
    window_s = 6
    fabric = case.edge([service(sid=("10.96.0.1",), slow_start=f"{window_s}s")], {"i1": "web"})
    # An instance among others that are as young has its whole share.
    warm = time.monotonic() + window_s
    wait_until(lambda: time.monotonic() > warm, 2 * window_s, "i1 to be warm")
    began = time.monotonic()
    fabric.wire.add("i2", "web")
    fabric.wire.tell()
    seen = []

    def grown():
        seen.append(fabric.slots("web").get("i2", 0) / 1024)
        return seen[-1] >= 0.49

    fabric.wait(grown, lambda: f"half of the slots for i2: {seen}")
    took = time.monotonic() - began
    first = next(share for share in seen if share > 0)
    assert first <= 0.25, f"i2 began with {first:.0%} of the slots"
    assert took >= window_s * 0.5, f"i2 had its share after {took:.1f} s"
    steps = sorted(set(seen))
    assert len(steps) >= 4 and seen == sorted(seen), f"its part did not grow step by step: {seen}"


@scenario()
def test_learn_service_removed_leaves_no_flow(case):
    """A service taken out of the configuration leaves no flow, no group and no binding; the other stays as it was."""
    fabric = case.edge([service("stays", sid=("10.96.0.1", "fd96::1"), ports=("udp/9000",)),
                        service("goes", sid=("10.96.0.2", "fd96::2"), ports=("udp/9000",), store="generations")],
                       {"i1": "stays", "v1": "stays", "i2": "goes", "v2": "goes"})
    fabric.mute_farm()
    generator = Generator(fabric)
    for n, (v4, v6) in enumerate((("i1", "v1"), ("i2", "v2"))):
        generator.new([v4], 200, sid=f"10.96.0.{n + 1}", port=9000, clients=200)
        generator.new([v6], 200, sid=f"fd96::{n + 1}", port=9000, clients=200, v6=True)
    assert fabric.wait_bindings_equal() == 800
    number = fabric.service_id("goes")
    assert flows.of_service(fabric.switch, number), "the service has no flow to begin with"
    document = copy.deepcopy(fabric.fabric)
    document["services"] = document["services"][:1]
    fabric.reload(document)
    fabric.fabric = document
    fabric.wait(lambda: not flows.of_service(fabric.switch, number),
                lambda: f"no flow of the removed service; left: {flows.of_service(fabric.switch, number)[:5]}")
    fabric.wait(lambda: all(group & 0xFFFF != number for group in flows.groups(fabric.switch)), "no group of it")
    assert fabric.wait_bindings_equal() == 400
    reasons = fabric.sql("select distinct reason from binding_history")
    assert reasons == [("service-removed",)], reasons
    for name in ("i2", "v2"):
        del fabric.wire.instances[name]
    fabric.wire.tell()


def marked(fabric):
    """Connections that carry a mark of ours."""
    text = fabric.switch.appctl("dpctl/dump-conntrack")
    return sum("mark=" in line and "dport=9000" in line for line in text.splitlines())


@scenario()
def test_learn_conntrack_marks(case):
    """Store conntrack: weights move no connection; a dead instance's are marked again, for good."""
    names = ["i1", "i2", "i3"]
    ports = (f"tcp/{dispatch.PORT}", "udp/9000")
    fabric = case.edge([service(store="conntrack", policy="least-bindings", ports=ports)], {name: "web" for name in names},
                       servers=names)
    load = fabric.clients.start("cl", WEB, connections=60, rate=300)
    load.wait_progress(lambda p: p["requests"] >= 200 and len(p["instances"]) == 3, 20, "running connections")
    planned = fabric.row("switches", "dr")["plan_changes"]
    fabric.wire.change(times=1000, every_ms=25, what="load", seed=5)
    fabric.churn(names, case.scale(40, 400), 50)
    assert fabric.row("switches", "dr")["plan_changes"] - planned >= case.scale(30, 300)
    report = load.finish()
    assert report["failed"] == 0 and report["moved_connections"] == 0, report
    fabric.wire.change(times=0, every_ms=1000)

    fabric.mute_farm()
    generator = Generator(fabric)
    running = generator.start("established", names, flows=300, rate=3000, port=9000, seconds=60, clients=300)
    fabric.wait(lambda: marked(fabric) >= 300, lambda: f"300 marked connections: {marked(fabric)}")
    before = fabric.switch_counters()["flow_mods_sent"]
    fabric.wire.instances["i1"]["health"] = 2
    fabric.wire.tell()
    fabric.wait_slots("web", ["i2", "i3"])
    spent = fabric.switch_counters()["flow_mods_sent"] - before
    assert spent <= 10, f"{spent} flow_mods for a dead instance"
    fabric.wire.instances["i1"]["health"] = 1
    fabric.wire.tell()
    fabric.wait_slots("web", names)
    report = running.finish()
    assert 20 <= report["flows_moved"] < 300 and report["lost"] <= 5, short(report)
    assert report["arrivals"]["i1"][1] <= report["last_move_at"] + 0.5, "connections went back to the instance that had died"


@scenario()
def test_learn_generations_age(case):
    """Store generations: an idle binding ends between T and 2T after its last packet, an active one stays."""
    timeout_s = 2
    names = ["i1", "i2", "i3"]
    fabric = case.edge([service(ports=("udp/9000",), store="generations", idle=f"{timeout_s}s")],
                       {name: "web" for name in names})
    fabric.mute_farm()
    generator = Generator(fabric)
    active = generator.start("established", names, flows=20, rate=200, port=9000, clients=20, seconds=60)
    demands = case.scale(500, 5000)
    generator.new(names, demands, port=9000, clients=500, source_ports=20, source_port=5000)
    sent = time.monotonic()
    fabric.wait(lambda: len(flows.bindings(fabric.switch)) >= demands + 20, "all bindings", 5)

    def left():
        return len(flows.bindings(fabric.switch)) - 20

    while time.monotonic() - sent < timeout_s * 0.8:
        count, at = left(), time.monotonic() - sent
        assert at >= timeout_s * 0.95 or count == demands, f"{count} of {demands} idle bindings after {at:.2f} s"
    fabric.wait(lambda: left() == 0, lambda: f"idle bindings to end: {left()}", 10)
    gone = time.monotonic() - sent
    assert timeout_s <= gone + 0.3 and gone <= 2 * timeout_s + 1, f"idle bindings were gone after {gone:.1f} s"
    flips = 3
    wait_until(lambda: time.monotonic() - sent > flips * timeout_s + 0.5, 30, "three turns")
    report = active.finish()
    assert report["flows_moved"] == 0 and report["lost"] == 0, short(report)
    ended = fabric.sql("select count(*) from binding_history where reason = 'idle'")[0][0]
    assert ended >= demands, f"{ended} of {demands} in the history"
