"""D-Forwarders: what comes back from beyond the D-Router, and a second D-Router that takes over."""

import signal

from case import scenario
from fabric import flows
from fabric.dispatch import PORT, target
from fabric.edge import HEALTH_DOWN
from fabric.forwarders import clients

from .failures_test import CONNECTION_LOST
from .forwarder_test import SYN_AGAIN_MS
from .ip_test import LEARN, OCTETS, REACTIVE, TRANSFER_PORT, both_modes, place_instances, start_transfer_servers, tool

MODES = {"learn": LEARN, "reactive": REACTIVE}
FAR = place_instances({"learn": ["f1", "g1"], "reactive": ["f2", "g2"]})


@scenario()
def test_forwarder_transfers_through_a_small_mtu(case):
    """5 MB each way through a hop of 1,400 octets behind the D-Router, in both families and modes: too-big errors reach
    the client behind the D-Forwarder."""
    fabric = case.forwarders(both_modes(), FAR)
    start_transfer_servers(fabric, FAR)
    for mode, sids in MODES.items():
        for sid in sids:
            for number, direction in enumerate(("up", "down"), 1):
                # Sources of their own, so that no path's learned MTU helps the next.
                source = f"fd64:1::7:{number}" if ":" in sid else f"100.65.7.{number}"
                result = tool(fabric, "c1", "transfer.py", direction, sid, TRANSFER_PORT, OCTETS, source)
                assert result["whole"] and result["seconds"] < 10, f"{mode} {sid}: {result}"
    counters = fabric.ctl("status")["counters"]
    assert counters["icmp-errors-returned"] >= len(MODES) * 2, counters


@scenario()
def test_forwarder_errors_reach_the_socket_they_are_about(case):
    """Time exceeded from the D-Forwarder, the router behind it and one behind the D-Router, and port unreachable from an
    instance: the client's socket gets each as about the D-SID, bound or not."""
    fabric = case.forwarders(both_modes(), FAR)
    v4 = {1: (11, 0, "192.168.1.1"), "core": (11, 0, "172.16.1.1"), "hop": (11, 0, "10.5.0.2"), 64: (3, 3, None)}
    v6 = {1: (3, 0, "fd00:c1::1"), "core": (3, 0, "fd00:a1::1"), "hop": (3, 0, "fd05::2"), 64: (1, 4, None)}
    for mode, sids in MODES.items():
        for sid in sids:
            wanted = v6 if ":" in sid else v4
            # An unbound demand is tunnelled: no router on that way sees it. Then it passes D-Forwarder, core, D-Router.
            for state, ttls in (("unbound", {1: 1, 2: "hop"}), ("unbound", {64: 64})):
                for ttl, which in ttls.items():
                    expect(fabric, sid, ttl, wanted[which], f"{mode} {sid} {state}")
            bound = fresh_source(sid)
            expect(fabric, sid, 64, wanted[64], f"{mode} {sid}", bound, 5000)
            fabric.wait(lambda s=bound: any(row[0] == s for row in flows.bindings(fabric.forwarder(1))),
                        f"{bound} to be bound", 10)
            for ttl, which in ((1, 1), (2, "core"), (4, "hop"), (64, 64)):
                expect(fabric, sid, ttl, wanted[which], f"{mode} {sid} bound", bound, 5000)


def fresh_source(sid, numbers=iter(range(1, 1000))):
    """An address of c1 that nothing was sent from yet."""
    number = next(numbers)
    return f"fd64:1::8:{number:x}" if ":" in sid else f"100.65.8.{number}"


def expect(fabric, sid, ttl, wanted, said, source=None, port=0):
    kind, code, sender = wanted
    found = tool(fabric, "c1", "datagrams.py", "error", sid, PORT, ttl, source or fresh_source(sid), port)
    seen = (found.get("type"), found.get("code"), found.get("from"))
    assert seen == (kind, code, sender or sid), f"{said} with TTL {ttl}: {found}, not {wanted}"


@scenario()
def test_forwarder_refusals_reach_clients(case):
    """With no instance left a demand is answered 'unreachable' at once, whether it came by the tunnel or, too large for
    it, the plain way."""
    instances = place_instances({"learn": ["i1", "v1"], "reactive": ["i2", "v2"]})
    fabric = case.forwarders(both_modes(), instances)
    for instance in fabric.wire.instances.values():
        instance["health"] = HEALTH_DOWN
    fabric.wire.tell()
    for name in instances:
        fabric.wait_row("instances", name, lambda r: r["state"] == "down", 10, "down")
    for mode, sids in MODES.items():
        for sid in sids:
            unreachable = {"type": 1, "code": 3} if ":" in sid else {"type": 3, "code": 1}
            for octets in (100, 1442, 1443, 1500):
                payload = octets - (48 if ":" in sid else 28)
                found = tool(fabric, "c1", "datagrams.py", "error", sid, PORT, 64, fresh_source(sid), 0, payload)
                said = f"{mode} {sid}, {octets} octets: {found}"
                assert {key: found.get(key) for key in unreachable} == unreachable and found["from"] == sid, said


@scenario(warnings=(*CONNECTION_LOST, r"switch lost code=DC-OF-012", r"bridge\|ERR\|another ovs-vswitchd process"))
def test_forwarder_second_d_router_takes_over(case):
    """D-Routers are killed one after the other: bindings go on throughout; the second answers at once; while none does new
    demands are counted, and served as soon as one is back."""
    names = {"learn": ["i1", "i2", "v1", "v2"], "reactive": ["i3", "i4", "v3", "v4"]}
    instances = place_instances(names)
    fabric = case.takeover(both_modes(idle="300s"), instances, servers=list(instances))
    f1, dr1, dr2 = (fabric.lab.switches[name] for name in ("f1", "dr1", "dr2"))
    targets = {v6: [target(sids[v6]) for sids in MODES.values()] for v6 in (False, True)}

    def sources(number, v6):
        first = clients(1)[v6]
        return [f"{first}{number:x}:{n:x}" if v6 else f"{first[:-3]}{number}.{n}" for n in range(1, 21)]

    def load(number, v6, **options):
        return fabric.clients.start("c1", targets[v6], connections=20, rate=100, addresses=sources(number, v6), **options)

    def asks(name):
        return fabric.wait_row("switches", "f1", lambda r: r["asks"] == name, 10, f"to ask {name}")

    def all_answered(number):
        for v6 in (False, True):
            report = fabric.clients.run("c1", targets[v6], requests=200, connections=10, new_connections=True,
                                        addresses=sources(number, v6), timeout_ms=SYN_AGAIN_MS)
            assert report["failed"] == 0, report["failures"]

    def going_on(running):
        for one in running:
            seen = one.progress()["requests"]
            one.wait_progress(lambda p, c=seen: p["requests"] >= c + 100, 20, "bound flows going on")

    bound = [load(1, v6) for v6 in (False, True)]
    for one in bound:
        one.wait_progress(lambda p: p["open"] == 20 and len(p["instances"]) == 4, 20, "bound flows at all instances")
    fabric.wait_bindings_equal()
    asks("dr1")
    dr1.stop_daemon("ovs-vswitchd", signal.SIGKILL)
    asks("dr2")
    before = flows.asked(dr2)
    all_answered(2)
    assert flows.asked(dr2) - before >= 200, "dr2 was not asked"
    going_on(bound)

    dr2.stop_daemon("ovs-vswitchd", signal.SIGKILL)
    fabric.wait_row("switches", "dr2", lambda r: r["state"] == "away", 10, "away")
    asks("dr1")
    misses = fabric.row("switches", "f1")["misses"]
    waiting = [load(3, v6, timeout_ms=60000) for v6 in (False, True)]
    fabric.wait_row("switches", "f1", lambda r: r["misses"] >= misses + 40, 20, f"to count more than {misses} misses")
    going_on(bound)
    assert all(one.progress()["requests"] == 0 for one in waiting), "who answered?"
    dr2.start_vswitchd()
    asks("dr2")
    for one in waiting:
        one.wait_progress(lambda p: p["open"] == 20 and p["requests"] >= 100, 60, "demands served at last")
    all_answered(4)
    dr1.start_vswitchd()
    asks("dr1")
    before = flows.asked(dr1)
    all_answered(5)
    assert flows.asked(dr1) - before >= 200, "dr1 was not asked"
    for one in [*bound, *waiting]:
        report = one.finish()
        assert report["failed"] == 0 and report["moved_connections"] == 0, report
    learned = fabric.row("switches", "f1")["learned"]
    assert learned >= 40 + 3 * 200, f"{learned} bindings learned"
    assert not flows.bindings(dr1) and not flows.bindings(dr2), "a D-Router holds bindings"
    assert flows.bindings(f1)
