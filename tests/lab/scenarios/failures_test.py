"""What breaks, and what must not break with it."""

import sqlite3
import time

from case import scenario
from fabric import figure2, flows
from lab.waiting import wait_until

WEB = figure2.targets("web")
MEDIA = figure2.targets("media")
HEALTH_INTERVAL_S = 0.2
ALLOWANCE_S = 0.2

# A peer that was killed is missed, in these words.
CONNECTION_LOST = (r"rconn\|WARN\|", r"stream_\w+\|WARN\|", r"jsonrpc\|WARN\|", r"reconnect\|WARN\|",
                   r"fatal_signal\|WARN\|terminating with signal")
INSTANCE_LOST = (r"code=DC-AG-\d+", r"health|probe|scrape")


@scenario(warnings=INSTANCE_LOST)
def test_instance_killed_recovers_in_time(case):
    """SIGKILL of a server: the last failure is within the health interval plus 200 ms."""
    fabric = case.fabric()
    load = fabric.clients.start("c1a", WEB, connections=40, rate=400)
    load.wait_progress(lambda p: len(p["instances"]) == 2 and p["requests"] >= 200, 20, "both instances answering")
    killed_at = time.time()
    fabric.servers["i21"].kill()
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "down", 10, "down")
    seen = load.progress()["requests"]
    load.wait_progress(lambda p: p["requests"] >= seen + 400, 20, "clients going on elsewhere")
    report = load.finish()
    recovery = report["last_failure_at"] - killed_at
    assert recovery <= HEALTH_INTERVAL_S + ALLOWANCE_S, f"requests failed for {recovery:.3f} s: {report['failures']}"
    # Bound clients of a coarser key move too: the 3-tuple's instance at the same edge is still there.
    fabric.start_server("i21")
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "up", 10, "up again")
    after = fabric.clients.run("c1a", WEB, requests=40, connections=4, new_connections=True)
    assert after["failed"] == 0 and "i21" in after["instances"], after["instances"]


def kill_and_count(fabric, bindings):
    """OpenFlow work on D-Router 1 for the death of i21 while it holds about half of `bindings`."""
    # All from one client node, over many addresses: ports would not suffice.
    report = fabric.clients.run("c1a", WEB, requests=bindings, connections=min(bindings, 50), sources=40,
                                new_connections=True, timeout_ms=10000)
    assert report["failed"] == 0, report["failures"]
    held = wait_until(lambda: len(flows.binding_lines(fabric.lab.switches["dr1"])) >= bindings and bindings, 60,
                      f"{bindings} binding flows in the switch", poll_s=0.5)
    on_victim = report["instances"]["i21"]["connections"]
    assert on_victim >= held // 5, f"i21 holds only {on_victim} of {held}"
    before = fabric.counters()["dr1"]
    fabric.servers["i21"].kill()
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "down", 10, "down")

    def egress_gone():
        identity = next(row["id"] for row in fabric.rows("instances") if row["name"] == "i21")
        cookie = f"cookie={0xd102000000000000 | identity << 16:#x}/0xffff0000ffff0000"
        dump = fabric.lab.switches["dr1"].ofctl("dump-flows", figure2.BRIDGE, f"table=40,{cookie}")
        return "actions=" not in dump

    wait_until(egress_gone, 10, "the egress flow to go")
    after = fabric.counters()["dr1"]
    spent = {key: after[key] - before[key] for key in ("flow_mods_sent", "bundles_sent", "packet_outs_sent",
                                                       "messages_sent")}
    fabric.start_server("i21")
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "up", 10, "up again")
    return spent


@scenario(warnings=INSTANCE_LOST)
def test_instance_death_costs_the_same_with_10_and_10000_bindings(case):
    """The OpenFlow messages for a dead instance do not depend on how many bindings it had."""

    def change(document):
        document["services"][0]["affinity"] = {"key": "5-tuple", "idle_timeout": "600s", "fin_timeout": "0s"}
        document["controller"]["stats_interval"] = "1h"

    fabric = case.fabric(change)
    few = kill_and_count(fabric, 10)
    many = kill_and_count(fabric, 10000)
    assert few["flow_mods_sent"] == many["flow_mods_sent"] > 0, f"10: {few}, 10,000: {many}"
    assert few["bundles_sent"] == many["bundles_sent"], f"10: {few}, 10,000: {many}"
    # Echo requests come with time, not with bindings.
    assert abs(many["messages_sent"] - few["messages_sent"]) <= 6, f"10: {few}, 10,000: {many}"
    print(f"           messages for a dead instance: 10 bindings {few}, 10,000 bindings {many}")


@scenario(warnings=CONNECTION_LOST)
def test_controller_killed_and_restarted_changes_nothing(case):
    """kill -9 under traffic: no request fails, no flow is changed, SQLite equals the switches."""
    fabric = case.fabric()
    loads = [fabric.clients.start("c1a", WEB, connections=100, rate=300),
             fabric.clients.start("c2", MEDIA, connections=40, sources=20, rate=100)]
    for load in loads:
        load.wait_progress(lambda p: p["requests"] >= 150, 20, "running flows")
    bound = fabric.wait_bindings_equal()
    before = {name: flows.stable_dump(switch) for name, switch in fabric.lab.switches.items()}
    seen = [load.progress()["requests"] for load in loads]
    fabric.kill_controller()
    for load, count in zip(loads, seen):
        load.wait_progress(lambda p, c=count: p["requests"] >= c + 200, 30, "flows without the controller")
    fabric.start_controller()
    fabric.wait_ready()
    for row in fabric.rows("switches"):
        sync = row["last_sync"]
        assert sync["added"] == 0 and sync["deleted"] == 0 and sync["kept"] > 0, f"{row['name']}: {sync}"
        assert row["counters"]["flow_mods_sent"] == 0, f"{row['name']}: {row['counters']}"
    for name, switch in fabric.lab.switches.items():
        now = flows.stable_dump(switch)
        assert now == before[name], f"{name}: flows differ: {sorted(set(now) ^ set(before[name]))[:6]}"
    assert fabric.wait_bindings_equal() == bound
    for load in loads:
        count = load.progress()["requests"]
        load.wait_progress(lambda p, c=count: p["requests"] >= c + 100, 20, "flows after the restart")
        report = load.finish()
        assert report["failed"] == 0 and report["moved_connections"] == 0, report
        assert report["moved_clients"] == 0 or load is loads[0], report["sources"]
    after = fabric.clients.run("c1b", WEB, requests=40, connections=4, new_connections=True)
    assert after["failed"] == 0, after["failures"]


@scenario(warnings=CONNECTION_LOST)
def test_bindings_that_ended_while_the_controller_was_away(case):
    """Flows that time out in its absence are in the history after its restart, and nowhere else."""
    fabric = case.fabric()
    load = fabric.clients.start("c1a", WEB, connections=30, rate=100)
    load.wait_progress(lambda p: p["requests"] >= 60, 20, "running flows")
    assert fabric.wait_bindings_equal() == 30
    fabric.kill_controller()
    load.finish()  # the clients' FINs start the FIN timeout
    switch = fabric.lab.switches["dr1"]
    wait_until(lambda: not flows.binding_lines(switch), 30, "binding flows to time out", poll_s=0.2)
    assert fabric.sql("select count(*) from bindings")[0][0] == 30
    fabric.start_controller()
    fabric.wait_ready()
    assert fabric.wait_bindings_equal() == 0
    assert fabric.sql("select count(*) from binding_history")[0][0] >= 30


@scenario(warnings=(*CONNECTION_LOST, r"switch lost code=DC-OF-012", r"bridge\|ERR\|another ovs-vswitchd process"))
def test_switch_restarted_is_programmed_again(case):
    """A restarted ovs-vswitchd gets all its flows, bindings of running connections included."""
    fabric = case.fabric()
    # A connection waits through the outage; TCP sends again by itself.
    load = fabric.clients.start("c1a", WEB, connections=30, rate=60, timeout_ms=20000)
    load.wait_progress(lambda p: p["requests"] >= 60, 20, "running flows")
    bound = fabric.wait_bindings_equal()
    fabric.lab.switches["dr1"].restart_vswitchd()
    fabric.wait_row("switches", "dr1", lambda r: r["counters"]["connects"] >= 2 and r["state"] == "synced", 30,
                    "connected again and synced")
    assert fabric.wait_bindings_equal(30) == bound
    seen = load.progress()["requests"]
    load.wait_progress(lambda p: p["requests"] >= seen + 60, 30, "traffic again")
    report = load.finish()
    assert report["moved_connections"] == 0 and report["failed"] == 0, report


@scenario(warnings=(*INSTANCE_LOST, r"agent-silent|silent"))
def test_agent_killed_takes_its_instances_down(case):
    """A silent agent: instances down after the missed heartbeats, others serve; back with the agent."""
    fabric = case.fabric()
    fabric.agent_processes["agent3"].kill()
    killed = time.monotonic()
    row = fabric.wait_row("instances", "i31", lambda r: r["state"] == "down", 15, "down")
    # 3 missed heartbeats of 200 ms, and the controller's own tick.
    took = time.monotonic() - killed
    assert took < 3, f"{took:.1f} s until a silent agent's instance was down"
    assert "silent" in row["reason"], row["reason"]
    report = fabric.clients.run("c1a", WEB, requests=100, connections=10, new_connections=True)
    assert report["failed"] == 0 and set(report["instances"]) == {"i21"}, report
    fabric.start_agent("agent3")
    fabric.wait_ready()


@scenario()
def test_agent_stopped_withdraws_at_once(case):
    """SIGTERM of an agent: its instances are withdrawn without waiting for silence."""
    fabric = case.fabric()
    assert fabric.agent_processes["agent3"].stop() == 0
    row = fabric.wait_row("instances", "i32", lambda r: r["state"] == "down", 5, "down")
    assert "withdrawn" in row["reason"], row["reason"]
    report = fabric.clients.run("c1a", MEDIA, requests=80, connections=20, sources=10, new_connections=True)
    assert report["failed"] == 0 and set(report["instances"]) == {"i22"}, report
    fabric.start_agent("agent3")
    fabric.wait_ready()


@scenario(warnings=(*INSTANCE_LOST,))
def test_no_instance_refuses_and_recovers(case):
    """With no instance left a demand is refused quickly, counted, and served again when one is up."""
    fabric = case.fabric()
    for instance in ("i21", "i31"):
        fabric.servers[instance].kill()
        fabric.wait_row("instances", instance, lambda r: r["state"] == "down", 10, "down")
    report = fabric.clients.run("c1a", WEB, requests=10, connections=2, new_connections=True)
    assert report["failed"] == 10 and report["failures"].get("unreachable", 0) == 10, report["failures"]
    refused = fabric.row("services", "web")["demands_refused"]
    assert refused >= 10, f"{refused} refused demands counted"
    fabric.start_server("i31")
    fabric.wait_row("instances", "i31", lambda r: r["state"] == "up", 10, "up")
    report = fabric.clients.run("c1a", WEB, requests=20, connections=2, new_connections=True)
    assert report["failed"] == 0 and set(report["instances"]) == {"i31"}, report


@scenario(warnings=(r"code=DC-DB-\d+",))
def test_database_locked_while_steering_goes_on(case):
    """Another process holds the database: demands are served; the records follow when it lets go."""
    fabric = case.fabric()
    other = sqlite3.connect(fabric.fabric["controller"]["database"], timeout=30, isolation_level=None)
    other.execute("begin exclusive")
    try:
        load = fabric.clients.start("c1a", WEB, connections=50, rate=200)
        load.wait_progress(lambda p: p["requests"] >= 500, 30, "demands served")
        assert load.progress()["failed"] == 0, load.progress()
        assert len(flows.bindings(fabric.lab.switches["dr1"])) == 50
        assert not fabric.sql("select count(*) from bindings")[0][0], "the lock did not hold"
        wait_until(lambda: fabric.ctl("status")["database"]["pending"] > 0, 10, "pending records to show")
    finally:
        other.execute("rollback")
        other.close()
    assert fabric.wait_bindings_equal(30) == 50
    database = wait_until(lambda: (s := fabric.ctl("status")["database"])["healthy"] and s, 20, "a healthy database")
    assert database["dropped"] == 0, database
    report = load.finish()
    assert report["failed"] == 0, report["failures"]
