"""Steps while all is well: announce, spread, affinity, two ports, real load."""

from fabric import figure2
from lab.waiting import wait_until

from .measure import Burner, in_words, load_of, merge, shares, wait_settled
from .narrator import require


def announce(fabric, narrator):
    narrator.say("Starting four HTTP servers, the controller, agent 2 beside D-Router 2, agent 3 alone at edge 3.")
    status = fabric.start()
    for row in fabric.rows("instances"):
        narrator.say(f"{row['name']}: {row['service']} at D-BID {row['bid']}, {row['state']}, said by {row['agent']}")
    narrator.say(f"{status['switches_synced']} D-Routers are programmed, {status['instances_up']} instances are up.")
    require(status["agents_heard"] == len(figure2.AGENTS), f"{status['agents_heard']} agents heard, not 2")
    return {"switches_synced": status["switches_synced"], "instances_up": status["instances_up"],
            "agents_heard": status["agents_heard"]}


def spread(fabric, narrator):
    narrator.say("200 new connections to each D-SID from clients at both D-Routers, one request each.")
    figures = {}
    for service in figure2.SERVICES:
        sources = 40 if service == "media" else 1
        reports = [fabric.clients.run(node, figure2.targets(service), requests=100, connections=5 if service == "web"
                                      else 80, sources=sources, new_connections=True) for node in ("c1a", "c2")]
        total = merge(reports)
        parts = shares(total, service)
        narrator.say(f"{service}: {in_words(parts)}; {total['failed']} failed")
        require(total["failed"] == 0, f"{service}: {total['failed']} requests failed")
        require(min(parts.values()) >= 0.2, f"{service}: each instance must take a fifth at least: {in_words(parts)}")
        figures[service] = {name: round(part, 3) for name, part in parts.items()}
    return figures


def affinity(fabric, narrator):
    narrator.say("2,000 requests over 200 keep-alive connections to the web D-SID, while edge 2's load goes up.")
    before = {name: load_of(fabric, name) for name in ("i21", "i31")}
    loads = [fabric.clients.start(node, figure2.targets("web"), connections=100, requests=1000, rate=250)
             for node in ("c1a", "c2")]
    for load in loads:
        load.wait_progress(lambda p: p["requests"] >= 100, 20, "the first requests")
    burner = Burner(fabric, "i21")
    try:
        changed = wait_until(lambda: load_of(fabric, "i21") > before["i21"] + 0.3 and load_of(fabric, "i21"), 15,
                             "a changed load metric of i21")
        during = [load.progress()["requests"] for load in loads]
        reports = [load.report() for load in loads]
    finally:
        burner.stop()
    total = merge(reports)
    narrator.say(f"i21's load went from {before['i21']:.2f} to {changed:.2f} after {sum(during)} requests.")
    narrator.say(f"{total['requests']} answered, {total['failed']} failed, {total['moved_connections']} connections "
                 "were answered by more than one instance.")
    require(sum(during) < 1900, "the metrics changed only after the requests were over")
    require(total["requests"] == 2000 and total["failed"] == 0, f"{total['failed']} requests failed")
    require(total["moved_connections"] == 0, f"{total['moved_connections']} connections moved")
    require(total["connections"] == 200, f"{total['connections']} connections were opened, not 200")
    return {"requests": total["requests"], "failed": total["failed"], "connections": total["connections"],
            "moved": total["moved_connections"], "load_before": round(before["i21"], 3),
            "load_during": round(changed, 3)}


def two_ports(fabric, narrator):
    narrator.say("80 clients use both ports of the media service, eight connections each.")
    reports = [fabric.clients.run(node, figure2.targets("media"), requests=320, connections=80, sources=40,
                                  new_connections=True) for node in ("c1a", "c2")]
    clients = {source: seen for report in reports for source, seen in report["sources"].items()}
    ports = {target: sum(seen.values()) for report in reports for target, seen in report["targets"].items()}
    used = {name for seen in clients.values() for name in seen}
    moved = [source for source, seen in clients.items() if len(seen) > 1]
    narrator.say(f"{len(clients)} clients, each on one instance for both ports: {len(clients) - len(moved)}; "
                 f"instances used: {', '.join(sorted(used))}")
    failed = sum(report["failed"] for report in reports)
    require(failed == 0, f"{failed} requests failed")
    require(len(clients) == 80 and len(ports) == 2, f"{len(clients)} clients and {len(ports)} ports were seen")
    require(not moved, f"clients on two instances: {moved[:5]}")
    require(len(used) == 2, f"all clients went to {used}: the test shows nothing")
    return {"clients": len(clients), "clients_on_two_instances": len(moved), "requests": sum(ports.values()),
            "failed": failed}


def real_load(fabric, narrator):
    narrator.say("40 running connections; then a process burns a core at edge 2.")
    wait_settled(fabric)
    running = fabric.clients.start("c1b", figure2.targets("web"), connections=40, rate=120)
    burner = None
    try:
        running.wait_progress(lambda p: p["requests"] >= 80, 20, "running flows")
        before = shares(fabric.clients.run("c1a", figure2.targets("web"), requests=100, connections=4,
                                           new_connections=True), "web")
        settled = running.progress()["instances"]
        burner = Burner(fabric, "i21")
        load = wait_until(lambda: load_of(fabric, "i21") > 0.8 and load_of(fabric, "i21"), 20, "load at edge 2")
        # The estimate is smoothed over a few reports.
        after = wait_until(lambda: _share_moves(fabric, before), 20, "new demands to move away from i21",
                           poll_s=0.2)
        now = running.progress()
    finally:
        if burner:
            burner.stop()
        report = running.finish()
    grew = {name: now["instances"][name]["requests"] - settled[name]["requests"] for name in settled}
    narrator.say(f"New demands before: {in_words(before)}. With i21's load at {load:.2f}: {in_words(after)}.")
    narrator.say(f"Running connections: {report['moved_connections']} moved, {report['failed']} of "
                 f"{report['requests']} requests failed; both instances went on serving theirs: {grew}")
    require(report["moved_connections"] == 0, f"{report['moved_connections']} running connections moved")
    require(report["failed"] == 0, f"{report['failed']} requests of running connections failed")
    require(len(grew) == 2 and min(grew.values()) > 0, f"running connections must go on at both instances: {grew}")
    require(after["i31"] >= 0.75, f"at least three quarters of the new demands must go to i31: {in_words(after)}")
    return {"share_i31_before": round(before["i31"], 3), "share_i31_under_load": round(after["i31"], 3),
            "load_i21": round(load, 3), "moved": report["moved_connections"], "failed": report["failed"]}


def _share_moves(fabric, before):
    """The shares of 100 new demands, once they differ clearly from `before`."""
    report = fabric.clients.run("c1a", figure2.targets("web"), requests=100, connections=4, new_connections=True)
    parts = shares(report, "web")
    return parts if parts["i31"] >= max(0.75, before["i31"] + 0.1) else None
