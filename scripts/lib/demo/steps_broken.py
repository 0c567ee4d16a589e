"""Steps in which something breaks: an instance, the controller. And what the records tell."""

import subprocess
import time

from fabric import figure2
from lab.waiting import wait_until

from .measure import wait_settled
from .narrator import require

# Time from the death of a server to the last failed request, beyond the health check's interval.
ALLOWANCE_S = 0.2


def instance_killed(fabric, narrator):
    interval_s = 0.2
    narrator.say("40 clients talk to the web service; then i21's server is killed (SIGKILL). Its health is checked "
                 f"every {interval_s * 1000:.0f} ms.")
    wait_settled(fabric)
    load = fabric.clients.start("c1a", figure2.targets("web"), connections=40, rate=400)
    load.wait_progress(lambda p: len(p["instances"]) == 2 and p["requests"] >= 200, 20, "both instances answering")
    before = fabric.counters()
    killed_at = time.time()
    fabric.servers["i21"].kill()
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "down", 10, "down")
    at_kill = load.progress()
    load.wait_progress(lambda p: p["requests"] >= at_kill["requests"] + 400, 20, "clients going on elsewhere")
    after = fabric.counters()
    report = load.finish()
    recovery_s = max(0.0, report["last_failure_at"] - killed_at)
    messages = {name: after[name]["flow_mods_sent"] - before[name]["flow_mods_sent"] for name in after}
    narrator.say(f"{report['failed']} requests failed, the last one {recovery_s * 1000:.0f} ms after the kill; "
                 f"then all went on at i31.")
    narrator.say(f"Flow changes sent since, new bindings included: {messages}")
    require(recovery_s <= interval_s + ALLOWANCE_S,
            f"requests failed for {recovery_s * 1000:.0f} ms, more than {(interval_s + ALLOWANCE_S) * 1000:.0f} ms")
    fabric.start_server("i21")
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "up", 10, "up")
    narrator.say("The server was started again and i21 is up.")
    return {"failed": report["failed"], "requests": report["requests"], "recovery_ms": round(recovery_s * 1000),
            "limit_ms": round((interval_s + ALLOWANCE_S) * 1000)}


def controller_restarted(fabric, narrator):
    narrator.say("100 keep-alive connections are running; the controller is killed (SIGKILL) and started again.")
    load = fabric.clients.start("c1a", figure2.targets("web"), connections=100, rate=400)
    load.wait_progress(lambda p: p["requests"] >= 400, 20, "running flows")
    fabric.wait_bindings_equal()
    before = load.progress()
    fabric.kill_controller()
    alone = load.wait_progress(lambda p: p["requests"] >= before["requests"] + 400, 20,
                               "flows going on without the controller")
    fabric.start_controller()
    fabric.wait_ready()
    switches = {row["name"]: row for row in fabric.rows("switches")}
    sent = {name: row["counters"]["flow_mods_sent"] for name, row in switches.items()}
    syncs = {name: row["last_sync"] for name, row in switches.items()}
    load.wait_progress(lambda p: p["requests"] >= alone["requests"] + 400, 20, "flows after the restart")
    report = load.finish()
    bindings = fabric.wait_bindings_equal()
    narrator.say(f"{alone['requests'] - before['requests']} requests were answered while it was away; in all "
                 f"{report['requests']} answered, {report['failed']} failed, {report['moved_connections']} moved.")
    for name, sync in syncs.items():
        narrator.say(f"{name}: {sync['kept']} flows were right and kept, {sync['added']} added, {sync['deleted']} "
                     f"deleted; {sent[name]} flow changes sent")
    narrator.say(f"SQLite and the switches hold the same {bindings} bindings.")
    require(report["failed"] == 0, f"{report['failed']} requests failed")
    require(report["moved_connections"] == 0, f"{report['moved_connections']} connections moved")
    require(all(sync["added"] == 0 and sync["deleted"] == 0 and sync["kept"] > 0 for sync in syncs.values()),
            f"the restart changed flows: {syncs}")
    require(sum(sent.values()) == 0, f"flow changes were sent after the restart: {sent}")
    return {"requests": report["requests"], "failed": report["failed"], "moved": report["moved_connections"],
            "answered_without_controller": alone["requests"] - before["requests"],
            "flow_changes_sent": sum(sent.values()), "flows_kept": sum(s["kept"] for s in syncs.values()),
            "bindings": bindings}


def records(fabric, narrator):
    narrator.say("Who is bound where, from SQLite while the controller runs:")
    client = fabric.lab.addresses("c2")[-1]  # not used before
    load = fabric.clients.start("c2", figure2.targets("web"), connections=2, rate=20, addresses=[client])
    load.wait_progress(lambda p: p["requests"] >= 8, 10, "running flows")
    count = wait_until(lambda: fabric.sql("select count(*) from bindings where service = 'web'")[0][0], 10,
                       "bindings in SQLite")
    query = ("select switch, service, client, src_port, dst_port, instance, decided_by, packets from bindings "
             "order by client desc limit 6")
    database = fabric.fabric["controller"]["database"]
    narrator.say(f"$ sqlite3 -header -column {database} \\\n    \"{query}\"")
    shown = subprocess.run(["sqlite3", "-header", "-column", "-readonly", database, query], capture_output=True,
                           text=True, check=False)
    narrator.say(shown.stdout or shown.stderr)
    narrator.say(f"\nWhy {client} went where it went:\n$ dyncastctl explain {client} web")
    narrator.say(fabric.ctl_text("explain", client, "web"))
    explained = fabric.ctl("explain", client, "web")
    report = load.finish()
    require(shown.returncode == 0 and count > 0, f"no bindings from SQL: {shown.stderr}")
    require(len(explained["candidates"]) == 2, f"explain names {len(explained['candidates'])} candidates, not 2")
    require(len(explained["bound"]) == 2, f"explain shows {len(explained['bound'])} bindings of {client}, not 2")
    require(report["failed"] == 0, f"{report['failed']} requests failed")
    return {"bindings": count, "candidates": len(explained["candidates"]), "bound": len(explained["bound"])}
