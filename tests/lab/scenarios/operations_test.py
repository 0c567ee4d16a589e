"""What operators do, and what strangers send."""

import copy

from case import scenario
from fabric import figure2, flows
from lab.lab import program
from lab.waiting import wait_until

WEB = figure2.targets("web")


@scenario()
def test_drain_keeps_flows_and_takes_no_new(case):
    """A drained instance keeps its running flows and gets no new demand; undrain brings it back."""
    fabric = case.fabric()
    running = fabric.clients.start("c1a", WEB, connections=20, rate=60)
    running.wait_progress(lambda p: p["requests"] >= 60 and len(p["instances"]) == 2, 20, "running flows")
    fabric.ctl("drain", "i21")
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "draining", 5, "draining")
    report = fabric.clients.run("c2", WEB, requests=60, connections=6, new_connections=True)
    assert report["failed"] == 0 and set(report["instances"]) == {"i31"}, report["instances"]
    seen = running.progress()["instances"]["i21"]["requests"]
    running.wait_progress(lambda p: p["instances"]["i21"]["requests"] > seen + 10, 20, "flows staying at i21")
    fabric.ctl("undrain", "i21")
    fabric.wait_row("instances", "i21", lambda r: r["state"] == "up", 5, "up")
    report = fabric.clients.run("c2", WEB, requests=60, connections=6, new_connections=True)
    assert "i21" in report["instances"], report["instances"]
    report = running.finish()
    assert report["moved_connections"] == 0 and report["failed"] == 0, report


@scenario(warnings=(r"code=DC-CF-001",))
def test_reload_refuses_a_bad_file_and_takes_a_good_one(case):
    """SIGHUP: a bad file changes nothing and is told; a good one adds a service; running flows stay."""
    fabric = case.fabric()
    running = fabric.clients.start("c1a", WEB, connections=20, rate=60)
    running.wait_progress(lambda p: p["requests"] >= 60, 20, "running flows")
    before = flows.stable_dump(fabric.lab.switches["dr2"])

    bad = copy.deepcopy(fabric.fabric)
    bad["services"][0]["colour"] = "blue"
    fabric.reload(bad)
    event = wait_until(lambda: [e for e in fabric.rows("events") if e["kind"] == "config-refused"], 10,
                       "the refusal among the events")
    assert "colour" in str(event), event
    assert flows.stable_dump(fabric.lab.switches["dr2"]) == before
    assert len(fabric.rows("services")) == 2

    good = copy.deepcopy(fabric.fabric)
    good["services"].append({**figure2.web(), "name": "extra", "sid": "10.96.0.3"})
    fabric.reload(good)
    fabric.fabric = good
    wait_until(lambda: len(fabric.rows("services")) == 3, 10, "the new service")
    agent = copy.deepcopy(fabric.agents["agent3"])
    agent["instances"].append({**agent["instances"][0], "name": "i31-extra", "service": "extra", "bid": "10.3.31.3"})
    fabric.lab.run("i31", "ip", "address", "add", "10.3.31.3/24", "dev", "to-e3")
    fabric.lab.start("i31", "web-extra", [program("dyncast-web"), "--bind", "10.3.31.3:8080", "--name",
                                          "i31-extra"]).wait_output("ready")
    assert fabric.agent_processes["agent3"].stop() == 0
    fabric.agents["agent3"] = agent
    fabric.start_agent("agent3")
    fabric.wait_row("instances", "i31-extra", lambda r: r["state"] == "up", 10, "up")
    report = fabric.clients.run("c1b", ["10.96.0.3:8080"], requests=20, connections=4)
    assert report["failed"] == 0 and set(report["instances"]) == {"i31-extra"}, report


GARBAGE = """
import os, sys, zmq
endpoint = sys.argv[1]
# XPUB hands over the subscription, so that nothing is sent before it counts.
socket = zmq.Context().socket(zmq.XPUB)
socket.setsockopt(zmq.LINGER, 2000)
socket.setsockopt(zmq.RCVTIMEO, 20000)
socket.connect(endpoint)
socket.recv()
for i in range(1000):
    topic = [b"", b"report/agent2", b"announce/agent2", b"withdraw/agent3", b"heartbeat/stranger", b"\\xff" * 300][i % 6]
    body = os.urandom(i * 7 % 5000)
    parts = [[topic, body], [topic], [topic, body, body], [topic, b"\\x0a\\x06agent2" + body]][i % 4]
    socket.send_multipart(parts)
print("sent", flush=True)
"""


@scenario(warnings=(r"code=DC-IN-001",))
def test_garbage_to_the_metrics_socket_changes_nothing(case):
    """Random and truncated messages are refused and counted; instances and flows stay as they are."""
    fabric = case.fabric()
    running = fabric.clients.start("c1a", WEB, connections=20, rate=100)
    running.wait_progress(lambda p: p["requests"] >= 60, 20, "running flows")
    before = {row["name"]: (row["state"], row["bid"]) for row in fabric.rows("instances")}
    malformed = fabric.ctl("status")["counters"]["metric_messages_malformed"]
    endpoint = fabric.fabric["controller"]["metrics_bind"]
    fabric.lab.run("agent3", "/usr/bin/python3", "-c", GARBAGE, endpoint)
    wait_until(lambda: fabric.ctl("status")["counters"]["metric_messages_malformed"] >= malformed + 200, 20,
               "garbage to be counted")
    assert {row["name"]: (row["state"], row["bid"]) for row in fabric.rows("instances")} == before
    assert not [a for a in fabric.rows("agents") if a["name"] not in figure2.AGENTS], fabric.rows("agents")
    report = running.finish()
    assert report["failed"] == 0 and report["moved_connections"] == 0, report


def match_of(line):
    """What `del-flows --strict` needs of a dumped flow: table, priority and match."""
    words = line.split(" actions=")[0].replace(", ", ",").split(",")
    return ",".join(w.strip() for w in words if not w.strip().startswith(("cookie=", "idle_", "hard_", "send_", "reset_")))


@scenario()
def test_check_finds_and_sync_repairs_what_somebody_changed(case):
    """A flow deleted and one added by hand: `check` says so, `sync` repairs both, traffic goes on."""
    fabric = case.fabric()
    switch = fabric.lab.switches["dr1"]
    load = fabric.clients.start("c1a", WEB, connections=10, rate=50)
    load.wait_progress(lambda p: p["requests"] >= 30, 20, "running flows")
    victim = next(line for line in flows.stable_dump(switch) if "table=60" in line and "10.96.0." not in line)
    switch.ofctl("--strict", "del-flows", figure2.BRIDGE, match_of(victim))
    result = fabric.check()
    row = next(r for r in result["switches"] if r["name"] == "dr1")
    assert not result["ok"] and row["missing"] >= 1, result
    switch.ofctl("add-flow", figure2.BRIDGE, "cookie=0xd101000000000000,table=60,priority=7,ip,nw_dst=9.9.9.9,actions=drop")
    result = fabric.check()
    row = next(r for r in result["switches"] if r["name"] == "dr1")
    assert not result["ok"] and row["unexpected"] >= 1, result
    fabric.ctl("sync")
    wait_until(lambda: fabric.check()["ok"], 10, "a repaired switch")
    assert victim in flows.stable_dump(switch), "the deleted flow is not back"
    report = load.finish()
    assert report["failed"] == 0 and report["moved_connections"] == 0, report


@scenario()
def test_two_labs_at_once(case):
    """Two fabrics with the same names and addresses run side by side, and one ends without the other."""
    first, second = case.fabric(), case.fabric()
    loads = [fabric.clients.start("c1a", WEB, connections=20, requests=400) for fabric in (first, second)]
    for load in loads:
        report = load.report()
        assert report["failed"] == 0 and report["moved_connections"] == 0, report

    def recorded():
        return second.sql("select (select count(*) from bindings) + (select count(*) from binding_history)")[0][0]

    # Each fabric records its own twenty, and only those.
    wait_until(lambda: recorded() >= 20, 10, lambda: f"20 bindings in the second lab's database; {recorded()}")
    assert recorded() == 20, f"{recorded()} bindings in the second lab: the labs are mixed up"
    case.stop_programs(first)
    first.lab.down()
    case.fabrics.remove(first)
    case.labs.remove(first.lab)
    report = second.clients.run("c2", WEB, requests=40, connections=4)
    assert report["failed"] == 0, report["failures"]
