"""D-Forwarders: the draft's Figure 4 with real clients (figure4.yaml), and what fails there."""

import json
import os

from case import scenario
from fabric import figure4, flows

from .failures_test import CONNECTION_LOST, INSTANCE_LOST

TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")
# Shares that do not follow what is bound: the hash gives a flow that is asked again its instance again.
STATIC = {"policy": "static"}
SYN_AGAIN_MS = 900  # a client that waits longer would send its lost SYN again, and hide the loss


def modes(web="learn", media="reactive"):
    """One service in each dispatch mode; keys, D-SIDs and instances are Figure 2's."""

    def change(document):
        for service, mode in zip(document["services"], (web, media)):
            service["dispatch"] = mode
            service["selection"] = STATIC
            service["affinity"] |= {"idle_timeout": "300s"}

    return change


def addresses(fabric, node, v6):
    return [a for a in fabric.lab.addresses(node) if (":" in a) == v6]


def of_family(instances, v6):
    return all(name.startswith("v" if v6 else "i") for name in instances)


def d_router(fabric):
    return fabric.lab.switches["dr1"]


@scenario()
def test_forwarder_loses_no_first_packet(case):
    """New connections of real clients behind the D-Forwarder, both modes, IPv4 and IPv6: every SYN arrives at once, and
    the D-Router holds as many flows as before."""
    fabric = case.figure4(modes())
    demands = case.scale(500, 10000)
    before = flows.own_dump(d_router(fabric))
    for service in figure4.SERVICES:
        for v6 in (False, True):
            report = fabric.clients.run("c1a", figure4.targets(service, v6), requests=demands, connections=20,
                                        new_connections=True, addresses=addresses(fabric, "c1a", v6),
                                        timeout_ms=SYN_AGAIN_MS)
            said = f"{service} IPv{6 if v6 else 4}: {report['failures']} {report['instances']}"
            assert report["failed"] == 0 and report["requests"] == demands, said
            assert len(report["instances"]) == 2 and of_family(report["instances"], v6), said
            # Three-tuples of 40 clients are bound once each; connections are all new demands.
            if service == "web":
                assert report["connections"] == demands, said
    assert flows.own_dump(d_router(fabric)) == before, "the D-Router's flows changed"
    assert not flows.bindings(d_router(fabric)), "the D-Router holds bindings"
    assert flows.asked(d_router(fabric)) >= 2 * demands
    # D-Router 2's own clients go on beside it.
    for v6 in (False, True):
        report = fabric.clients.run("c2", figure4.targets("web", v6), requests=100, connections=10, new_connections=True,
                                    addresses=addresses(fabric, "c2", v6), timeout_ms=SYN_AGAIN_MS)
        assert report["failed"] == 0, report["failures"]


def ask(fabric, node, sid, port, count, octets, source):
    tool = os.path.join(TOOLS, "datagrams.py")
    return json.loads(fabric.lab.run(node, "/usr/bin/python3", "-B", tool, "ask", sid, str(port), str(count), str(octets),
                                     source))


@scenario()
def test_forwarder_full_size_first_packets(case):
    """First packets that fill the infrastructure's MTU arrive, as do those around the limit of what is tunnelled, and the
    D-Forwarder learns from them like from small ones."""
    fabric = case.figure4(modes())
    count = case.scale(20, 500)
    for service in figure4.SERVICES:
        for v6 in (False, True):
            headers = 48 if v6 else 28
            sid, port = figure4.SIDS[service][v6], figure4.ports_of(service)[0]
            source = addresses(fabric, "c1b", v6)
            # 1442: the largest IP packet that fits into the tunnel.
            for number, packet in enumerate((1500, 1443, 1442, 1441, 100)):
                before = len(flows.bindings(fabric.lab.switches["df1"]))
                result = ask(fabric, "c1b", sid, port, count, packet - headers, source[number])
                said = f"{service} {sid}, packets of {packet}: {result}"
                assert result["answered"] == count and result["short"] == 0, said
                assert of_family(result["instances"], v6), said
                learned = count if service == "web" else 1
                fabric.wait(lambda b=before, n=learned: len(flows.bindings(fabric.lab.switches["df1"])) - b == n,
                            lambda b=before, t=said, n=learned:
                            f"{n} bindings learned, not {len(flows.bindings(fabric.lab.switches['df1'])) - b}; {t}", 10)
    assert not flows.bindings(d_router(fabric))


@scenario(warnings=INSTANCE_LOST)
def test_forwarder_instance_killed(case):
    """An instance dies: its bindings at the D-Forwarder get another one at once, for at most 3 messages."""

    def change(document):
        modes()(document)
        document["controller"]["stats_interval"] = "1h"

    fabric = case.figure4(change)
    loads = [fabric.clients.start("c1a", figure4.targets("web", v6), connections=40, rate=200,
                                  addresses=addresses(fabric, "c1a", v6)) for v6 in (False, True)]
    for load in loads:
        load.wait_progress(lambda p: len(p["instances"]) == 2 and p["requests"] >= 200, 20, "both instances answering")
    before = fabric.counters()["df1"]
    fabric.servers["i21"].kill()
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "down", 10, "down")
    seen = [load.progress()["requests"] for load in loads]
    for load, count in zip(loads, seen):
        load.wait_progress(lambda p, c=count: p["requests"] >= c + 200, 20, "clients going on")
    after = fabric.counters()["df1"]
    spent = {key: after[key] - before[key] for key in ("flow_mods_sent", "bundles_sent")}
    # A bundle takes two messages beside its flow mods: to open and to commit it.
    assert 0 < spent["flow_mods_sent"] + 2 * spent["bundles_sent"] <= 3, spent
    v4, v6 = [load.finish() for load in loads]
    assert v6["failed"] == 0 and v6["moved_connections"] == 0, v6["failures"]
    assert v4["failed"] <= 40 and v4["requests"] > seen[0] + 200, v4["failures"]
    # Nothing is left that leads to it, and what comes new is answered.
    report = fabric.clients.run("c1b", figure4.targets("web"), requests=100, connections=10, new_connections=True,
                                timeout_ms=SYN_AGAIN_MS)
    assert report["failed"] == 0 and set(report["instances"]) == {"i31"}, report
    fabric.start_server("i21")
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "up", 10, "up again")
    report = fabric.clients.run("c1b", figure4.targets("web"), requests=100, connections=10, new_connections=True,
                                timeout_ms=SYN_AGAIN_MS)
    assert report["failed"] == 0 and len(report["instances"]) == 2, report


@scenario(warnings=CONNECTION_LOST)
def test_forwarder_goes_on_without_the_controller(case):
    """The controller is killed: bindings and new demands go on; after its return all is known and nothing has moved."""
    fabric = case.figure4(modes(media="learn"))
    load = fabric.clients.start("c1a", figure4.targets("web"), connections=50, rate=200)
    load.wait_progress(lambda p: p["open"] == 50 and p["requests"] >= 200, 20, "running flows")
    # A switch learns a neighbour from its ARP, or ND, and a host asks with one of its addresses only: for the others the
    # controller must ask.
    for v6 in (False, True):
        sources = addresses(fabric, "c1b", v6)
        warm = fabric.clients.run("c1b", figure4.targets("web", v6), requests=80, connections=40, addresses=sources)
        assert warm["failed"] == 0, warm["failures"]
    fabric.wait_bindings_equal()
    fabric.kill_controller()
    for service in figure4.SERVICES:
        for v6 in (False, True):
            report = fabric.clients.run("c1b", figure4.targets(service, v6), requests=200, connections=20,
                                        new_connections=True, addresses=addresses(fabric, "c1b", v6),
                                        timeout_ms=SYN_AGAIN_MS)
            assert report["failed"] == 0 and len(report["instances"]) == 2, f"{service} {v6}: {report['failures']}"
    held = set(flows.bindings(fabric.lab.switches["df1"]))
    assert len(held) >= 50 + 2 * 200, f"{len(held)} bindings learned"
    fabric.start_controller()
    fabric.wait_ready()
    # Those of connections that were closed may have ended meanwhile, which the history says; the rest is where it was.
    assert fabric.wait_bindings_equal() >= 50
    left = {binding[:-1]: binding[-1] for binding in flows.bindings(fabric.lab.switches["df1"])}
    moved = {binding for binding in held if left.get(binding[:-1], binding[-1]) != binding[-1]}
    assert not moved, f"bindings moved: {sorted(moved)[:5]}"
    ended = {tuple(row) for row in fabric.sql("select client, src_port from binding_history where switch = 'df1'")}
    lost = {binding for binding in held if binding[:-1] not in left and (binding[0], binding[2]) not in ended}
    assert not lost, f"bindings were lost: {sorted(lost)[:5]}"
    seen = load.progress()["requests"]
    load.wait_progress(lambda p: p["requests"] >= seen + 200, 20, "requests after the return")
    report = load.finish()
    assert report["failed"] == 0 and report["moved_connections"] == 0, report["failures"]


@scenario(warnings=(*CONNECTION_LOST, r"switch lost code=DC-OF-012", r"bridge\|ERR\|another ovs-vswitchd process"))
def test_forwarder_switch_restarted(case):
    """The D-Forwarder's ovs-vswitchd is killed and comes back: programmed in full, and running flows stay where they are."""
    fabric = case.figure4(modes())
    load = fabric.clients.start("c1a", figure4.targets("web"), connections=30, rate=60, timeout_ms=30000)
    load.wait_progress(lambda p: p["requests"] >= 60 and len(p["instances"]) == 2, 20, "running flows")
    fabric.wait_bindings_equal()
    fabric.lab.switches["df1"].restart_vswitchd()
    fabric.wait_row("switches", "df1", lambda r: r["counters"]["connects"] >= 2 and r["state"] == "synced", 30,
                    "connected again and synced")
    seen = load.progress()["requests"]
    load.wait_progress(lambda p: p["requests"] >= seen + 60, 40, "traffic again")
    report = load.finish()
    assert report["moved_connections"] == 0 and report["failed"] == 0, report
    assert fabric.wait_bindings_equal(30) >= 30
    report = fabric.clients.run("c1b", figure4.targets("media"), requests=100, connections=20, new_connections=True,
                                sources=40)
    assert report["failed"] == 0, report["failures"]


@scenario(warnings=(*CONNECTION_LOST, r"switch lost code=DC-OF-012", r"bridge\|ERR\|another ovs-vswitchd process"))
def test_forwarder_d_router_restarted(case):
    """The D-Router's ovs-vswitchd is killed and comes back: new demands are steered again, bindings have not moved."""
    fabric = case.figure4(modes(), d_routers=("dr1",))
    load = fabric.clients.start("c1a", figure4.targets("web"), connections=30, rate=60, timeout_ms=30000)
    load.wait_progress(lambda p: p["requests"] >= 60 and len(p["instances"]) == 2, 20, "running flows")
    fabric.wait_bindings_equal()
    held = set(flows.bindings(fabric.lab.switches["df1"]))
    d_router(fabric).restart_vswitchd()
    fabric.wait_row("switches", "dr1", lambda r: r["counters"]["connects"] >= 2 and r["state"] == "synced", 30,
                    "connected again and synced")
    seen = load.progress()["requests"]
    load.wait_progress(lambda p: p["requests"] >= seen + 60, 40, "traffic again")
    assert held <= set(flows.bindings(fabric.lab.switches["df1"])), "bindings were lost or moved"
    report = load.finish()
    assert report["moved_connections"] == 0 and report["failed"] == 0, report
    for service in figure4.SERVICES:
        report = fabric.clients.run("c1b", figure4.targets(service), requests=100, connections=10, new_connections=True)
        assert report["failed"] == 0, report["failures"]


@scenario()
def test_forwarder_bindings_are_seen(case):
    """SQLite, dyncastctl bindings and explain tell a D-Forwarder's bindings like any other's, with the switch's name."""
    fabric = case.figure4(modes(), stats_interval="1s")
    load = fabric.clients.start("c1a", figure4.targets("web"), connections=20, rate=100)
    media = fabric.clients.start("c1b", figure4.targets("media", True), connections=10, rate=50,
                                 addresses=addresses(fabric, "c1b", True))
    for running in (load, media):
        running.wait_progress(lambda p: p["requests"] >= 60, 20, "running flows")
    fabric.wait_bindings_equal()
    told = fabric.sql("select switch, service, decided_by, count(*), min(packets) from bindings group by 1, 2, 3")
    assert {(row[0], row[1]) for row in told} == {("df1", "web"), ("df1", "media")}, told
    assert all(row[2] for row in told), f"who decided is not told: {told}"
    fabric.wait(lambda: fabric.sql("select min(packets) from bindings where service = 'web'")[0][0] > 2,
                "packets to be counted", 20)
    listed = fabric.rows("bindings", "--switch", "df1")
    assert len(listed) == fabric.sql("select count(*) from bindings")[0][0] and listed, listed[:2]
    assert fabric.rows("bindings", "--switch", "dr1") == []
    row = next(r for r in listed if r["service"] == "web")
    client = f"{row['client'].split('/')[0]}:{row['src_port']}"
    explained = json.dumps(fabric.ctl("explain", client, "web"))
    for part in ("df1", "dr1", row["instance"]):
        assert part in explained, f"explain {client} does not tell {part}: {explained[:2000]}"
    for running in (load, media):
        report = running.finish()
        assert report["failed"] == 0 and report["moved_connections"] == 0, report["failures"]
