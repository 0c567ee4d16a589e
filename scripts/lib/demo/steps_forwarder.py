"""The second act, the draft's Figure 4: a D-Forwarder holds what its D-Router then need not."""

from fabric import figure4, flows
from fabric.forwarders import wait_tunnels

from .narrator import require

CONNECTIONS = 200


def announce(fabric, narrator):
    narrator.say("Clients c1a and c1b are behind D-Forwarder df1; a routed hop lies between it and D-Router dr1. Every "
                 "edge has an instance of each service in IPv4 and in IPv6.")
    fabric.start()
    wait_tunnels(fabric)
    rows = {row["name"]: row for row in fabric.rows("switches")}
    narrator.say(f"df1 is programmed and asks {rows['df1']['asks']}; {len(fabric.rows('instances'))} instances are up.")
    return {"asks": rows["df1"]["asks"]}


def asked_once(fabric, narrator):
    narrator.say(f"{CONNECTIONS} connections of five requests each from c1a to the web D-SID, IPv4 and IPv6.")
    d_router = fabric.lab.switches["dr1"]
    before, asked = flows.own_dump(d_router), flows.asked(d_router)
    failed = moved = 0
    for v6 in (False, True):
        report = fabric.clients.run("c1a", figure4.targets("web", v6), connections=CONNECTIONS,
                                    requests=5 * CONNECTIONS)
        failed, moved = failed + report["failed"], moved + report["moved_connections"]
    asked = flows.asked(d_router) - asked
    fabric.wait_bindings_equal()
    at = dict(fabric.sql("select switch, count(*) from bindings group by switch"))
    narrator.say(f"{failed} requests failed, {moved} connections moved.")
    narrator.say(f"dr1 was asked about {asked} packets for {10 * CONNECTIONS} requests; its flows are "
                 f"{'the same as before' if flows.own_dump(d_router) == before else 'others than before'}.")
    narrator.say(f"Bindings in SQLite, by switch: {at}")
    require(failed == 0 and moved == 0, f"{failed} requests failed, {moved} connections moved")
    # A connection asks with its SYN; a packet or two may follow before the answer has been learned.
    require(2 * CONNECTIONS <= asked <= 6 * CONNECTIONS, f"dr1 was asked {asked} times")
    require(flows.own_dump(d_router) == before, "the D-Router's flows changed")
    require(set(at) == {"df1"}, f"bindings elsewhere than at df1: {at}")
    return {"asked": asked, "requests": 10 * CONNECTIONS, "failed": failed, "moved": moved, "bindings": at["df1"]}


def instance_killed(fabric, narrator):
    narrator.say("40 clients behind df1 talk to the web service; then i21's server is killed.")
    load = fabric.clients.start("c1a", figure4.targets("web"), connections=40, rate=200)
    load.wait_progress(lambda p: len(p["instances"]) == 2 and p["requests"] >= 200, 20, "both instances answering")
    before = fabric.counters()["df1"]
    fabric.servers["i21"].kill()
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "down", 10, "down")
    after = fabric.counters()["df1"]
    at_kill = load.progress()
    load.wait_progress(lambda p: p["requests"] >= at_kill["requests"] + 400, 20, "clients going on elsewhere")
    report = load.finish()
    changes = after["flow_mods_sent"] - before["flow_mods_sent"]
    narrator.say(f"df1 was told by {changes} flow change; {report['failed']} requests failed, then all went on at i31.")
    require(changes == 1, f"{changes} flow changes were sent to df1")
    require("i31" in report["instances"], f"nothing went to i31: {report['instances']}")
    return {"flow_changes": changes, "failed": report["failed"], "requests": report["requests"]}
