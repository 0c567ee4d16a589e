"""Updates from the application to the switch: no more than allowed, and none late."""

import json
import os

from case import scenario
from fabric import figure2, report_tap
from fabric.edge import SCHEMA_FOLDER
from fabric.group_watch import GroupWatch

TOOL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools", "load_posts.py")
TAP_PORT = 5571
REPORT_INTERVAL_S = 2.0
MINIMUM_GAP_S = 0.1
WEIGHTS_GAP_S = 1.0  # of the controller
SUPPRESS = 4  # turns of a metric until it is damped
LATE_S = 0.5  # of a loaded machine


def learn(document):
    web = document["services"][0]
    web["dispatch"] = "learn"
    web["selection"] = {"policy": "least-loaded", "load": [{"metric": "utilization"}]}


def socket_of(fabric):
    return fabric.lab.path("load.sock")


def posting_fabric(case, more=None):
    """Figure 2 with the web service selected in the switches by the load that i21 posts; a tap hears agent 2."""
    fabric = case.fabric(learn, start=False)
    lab = fabric.lab
    agent = fabric.agents["agent2"]
    agent.update({
        "report_interval": f"{REPORT_INTERVAL_S:g}s",
        "sample_interval": "10ms",
        "orca_listen": f"unix:{socket_of(fabric)}",
        "updates": {
            "minimum_gap": f"{MINIMUM_GAP_S * 1000:g}ms",
            "damping": {"suppress": SUPPRESS, "reuse": 2, "half_life": "1s", "max_hold": "4s"},
            "thresholds": [{"metric": "utilization", "change": 0.1}],
        },
    })
    del agent["thresholds"]
    agent["controllers"].append(f"tcp://{lab.management_address('ctl')}:{TAP_PORT}")
    i21 = next(i for i in agent["instances"] if i["name"] == "i21")
    i21["orca"] = {"post": True, "expiry": "30s"}
    i21["scrape"]["metrics"] = [m for m in i21["scrape"]["metrics"] if m["name"] != "utilization"]
    if more:
        more(agent)
    lab.start("ctl", "tap", ["/usr/bin/python3", "-B", report_tap.PROGRAM, SCHEMA_FOLDER,
                             f"tcp://{lab.management_address('ctl')}:{TAP_PORT}",
                             lab.path("tap.jsonl")]).wait_output("ready", timeout_s=30)
    fabric.start()
    return fabric


def heard(fabric, since):
    """(when sent, utilization) of i21's reports that a controller got, in order."""
    with open(fabric.lab.path("tap.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    return [(e["sent"], e["utilization"]) for e in lines if e["report"] == "i21" and e["sent"] >= since]


def post(fabric, every_ms, count, values, last):
    out = fabric.lab.run("dr2", "/usr/bin/python3", "-B", TOOL, socket_of(fabric), "i21", str(every_ms), str(count),
                         values, str(last), timeout_s=120)
    result = json.loads(out)
    assert result["refused"] == 0, result
    return result


def web_changes(watch, fabric, since):
    """When the switch's group of the web service really changed."""
    number = next(r["id"] for r in fabric.rows("services") if r["name"] == "web")
    assert watch.problem is None, watch.problem
    return [at for at, group, _ in watch.changes() if at >= since and group & 0xFFFF == number]


@scenario()
def test_a_metric_that_jumps_makes_nothing_flap(case):
    """A load that jumps 100 times a second: the controller hears, and the switches change, no more than allowed; the
    last value is told; a step after that leaves at once."""
    fabric = posting_fabric(case)
    seconds = case.scale(10, 60)
    switches = [fabric.lab.switches[name] for name in ("dr1", "dr2")]
    with GroupWatch(switches[0], figure2.BRIDGE) as at_dr1, GroupWatch(switches[1], figure2.BRIDGE) as at_dr2:
        before = fabric.wait(lambda: fabric.row("agents", "agent2").get("updates"), "the agent's first counts")
        result = post(fabric, 10, seconds * 100, "0.1,0.9", 0.5)
        took = result["last_at"] - result["began"]

        # The controller's side: no two within the gap, and in all no more than interval and damping allow.
        fabric.wait(lambda: (heard(fabric, result["last_at"]) or [(0, 0)])[-1][1] == 0.5,
                    lambda: f"the last value; heard {heard(fabric, result['last_at'])}", timeout_s=10)
        reports = heard(fabric, result["began"])
        jumping = [r for r in reports if r[0] <= result["last_at"]]
        allowed = took / REPORT_INTERVAL_S + 1 + SUPPRESS + 2
        assert len(jumping) <= allowed, f"{len(jumping)} reports in {took:.1f} s, allowed {allowed:.1f}"
        gaps = [b[0] - a[0] for a, b in zip(reports, reports[1:])]
        assert min(gaps) >= MINIMUM_GAP_S - 0.005, f"reports {min(gaps):.3f} s apart"

        # The switches: no two changes of weights within the controller's gap.
        for watch in (at_dr1, at_dr2):
            changes = web_changes(watch, fabric, result["began"])
            between = [b - a for a, b in zip(changes, changes[1:])]
            assert all(b >= WEIGHTS_GAP_S - 0.1 for b in between), f"groups changed {min(between):.3f} s apart"
            assert changes, "nothing changed at all"

        # What the agent counted is what happened.
        after = fabric.wait(lambda: (r := fabric.row("agents", "agent2")["updates"])["suppressed_damped"]
                            > before["suppressed_damped"] + seconds * 20 and r,
                            lambda: f"damped looks; {fabric.row('agents', 'agent2')['updates']}")
        assert after["sent_threshold"] - before["sent_threshold"] <= SUPPRESS + 4, (before, after)

        # Calm, then a step: the first report after it leaves at once, and both switches follow.
        fabric.wait(lambda: len(heard(fabric, result["last_at"] + 6)) >= 1, "some calm seconds")
        step = post(fabric, 10, 0, "0", 0.05)
        fabric.wait(lambda: any(v == 0.05 for _, v in heard(fabric, step["last_at"])), "the step's report")
        first = next(at for at, v in heard(fabric, step["last_at"] - 0.001) if v == 0.05)
        assert first - step["last_at"] <= MINIMUM_GAP_S + LATE_S, f"reported after {first - step['last_at']:.3f} s"
        for watch in (at_dr1, at_dr2):
            fabric.wait(lambda w=watch: web_changes(w, fabric, step["last_at"]), "the switch's new weights")


@scenario(warnings=(r"code=DC-AG-00[28] ", r"code=DC-AG-010 "))
def test_sources_that_misbehave_take_nothing_down(case):
    """Plug-ins that hang, flood, fail and talk nonsense, and posted garbage: demands go on, other metrics too."""
    bad = {
        "hang": "sleep 3600 & sleep 3600",
        "flood": "yes queue 1",
        "shout": "yes >&2",
        "lie": "echo queue -1; echo other NaN",
        "fail": "echo no >&2; exit 1",
    }

    def more(agent):
        i22 = next(i for i in agent["instances"] if i["name"] == "i22")
        i22["plugins"] = [{"command": ["/bin/sh", "-c", script], "interval": "300ms",
                           "metrics": [{"name": f"{name}_{what}", "from": what} for what in ("queue", "other")]}
                          for name, script in bad.items()]
        i22["plugins"].append({"command": ["/bin/sh", "-c", "echo queue 7"], "interval": "300ms",
                               "metrics": [{"name": "queue", "from": "queue"}]})

    fabric = posting_fabric(case, more)
    fabric.wait(lambda: {r["name"]: r["value"] for r in fabric.rows("metrics", "--instance", "i22")}.get("queue") == 7,
                "the good plug-in's value")
    running = fabric.clients.start("c1a", figure2.targets("web"), connections=20, rate=60)
    for _ in range(5):
        fabric.lab.run("dr2", "curl", "-sS", "-m", "5", "--unix-socket", socket_of(fabric), "-H",
                       "Content-Type: application/json", "--data-binary", "{\"application_utilization\": [",
                       "http://agent/v1/load/i21")
        fabric.lab.run("dr2", "curl", "-sS", "-m", "5", "--unix-socket", socket_of(fabric), "--data-binary",
                       f"@{fabric.lab.path('fabric.yaml')}", "http://agent/v1/load/nobody")
    post(fabric, 10, 100, "0.2,0.3", 0.25)
    running.wait_progress(lambda p: p["requests"] >= 200, 30, "running flows")
    report = running.finish()
    assert report["failed"] == 0, report
    names = {r["name"] for r in fabric.rows("metrics", "--instance", "i22") if r["level"] == "L0"}
    assert not any(name.startswith(tuple(f"{b}_" for b in bad)) for name in names), names
    assert {"queue", "load1", "sessions"} <= names, names
    agent = fabric.row("agents", "agent2")
    assert not agent["silent"] and agent["refused"] == 0, agent
