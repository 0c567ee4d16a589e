#!/usr/bin/python3
"""How long it takes from the moment at which an instance's metric changes to the moment at which the switch holds the new
weights, station by station: real application page, agent, controller and ovs-vswitchd.

Usage: bench_updates.py [--quick] [--modes threshold,interval] --json FILE

README.md says what each station is and who takes its time.
"""

import argparse
import bisect
import json
import os
import random
import re
import signal
import statistics
import sys
import time
from datetime import datetime, timezone

from fabric import dispatch, report_tap
from fabric.edge import SCHEMA_FOLDER
from fabric.group_watch import GroupWatch
from fabric.running import Fabric
from fabric.trial import percentile
from lab import topology
from lab.errors import LabError
from lab.lab import Lab
from lab.waiting import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICES = 10
LOW, HIGH, OTHER = 0.2, 0.6, 0.4
TAP_PORT = 5571
STATIONS = ("agent-scrape", "agent-report", "wire", "core", "switch", "confirmed")
# A step must be over before the next one of its service, and come at any moment of the periods involved.
GAPS_S = (2.6, 3.8)
BLACKOUT_S = 4.0  # what an instance says in the 2 s after it came up does not count, nor weights within 1 s of others
LATE_S = 2.5
LOG_S = 0.005  # the log's times are cut to 1 ms, and the switch's news take their time to be read here
REPORTING = {
    "threshold": {"report_interval": "1s", "thresholds": [{"metric": "utilization", "change": 0.1}]},
    "interval": {"report_interval": "1s"},
}


def say(text):
    print(f"updates: {text}", file=sys.stderr, flush=True)


class Layout:
    """No servers: the application plays all instances."""

    BRIDGE = dispatch.BRIDGE
    INSTANCES = {}
    AGENTS = {"edge": "farm"}


def steps_of(service):
    """(the instance that takes the steps, the one beside it)"""
    return f"i{2 * service + 1}", f"i{2 * service + 2}"


def plan(steps, seed):
    """The application's plan: so many steps for each service, at random moments."""
    draw = random.Random(seed)
    instances, timetable = {}, []
    for service in range(SERVICES):
        stepping, beside = steps_of(service)
        instances |= {stepping: [dispatch.place(stepping)[1], LOW], beside: [dispatch.place(beside)[1], OTHER]}
        at = BLACKOUT_S + draw.uniform(0, GAPS_S[0])
        for number in range(steps):
            timetable.append([at, stepping, HIGH if number % 2 == 0 else LOW])
            at += draw.uniform(*GAPS_S)
    return {"port": dispatch.PORT, "instances": instances, "steps": sorted(timetable)}


def share_of(value):
    """The share of the stepping instance by policy least-loaded: what is free, of all that is free."""
    return (1 - value) / (1 - value + 1 - OTHER)


class Bed(Fabric):
    def __init__(self, lab):
        services = [dispatch.service(f"s{n}", sid=(f"10.96.0.{n + 1}",), idle="60s", policy="least-loaded")
                    for n in range(SERVICES)]
        for service in services:
            service["selection"]["load"] = [{"metric": "utilization"}]
        super().__init__(lab, fabric=dispatch.fabric(lab, services, startup_grace="1s"), agents={"edge": None},
                         layout=Layout())
        self.control = lab.management_address("ctl")

    def agent(self, mode):
        entries = []
        for service in range(SERVICES):
            for name in steps_of(service):
                bid = dispatch.place(name)[1]
                entries.append({"name": name, "service": f"s{service}", "bid": bid, "port": dispatch.PORT,
                                "scrape": {"url": f"http://{bid}:{dispatch.PORT}/metrics",
                                           "metrics": [{"name": "utilization", "from": "utilization", "unit": "ratio"}]}})
        return {"name": "edge", "controllers": [f"tcp://{self.control}:{port}" for port in (5570, TAP_PORT)],
                **REPORTING[mode], "instances": entries}

    def start_all(self, mode):
        self.write("plan.json", json.dumps(plan(0, 0)))
        self.lab.start("farm", "application", [
            "/usr/bin/python3", "-B", os.path.join(HERE, "application.py"), self.lab.path("plan.json"),
            self.lab.path("application.jsonl")]).wait_output("ready")
        self.lab.start("ctl", "tap", ["/usr/bin/python3", "-B", report_tap.PROGRAM, SCHEMA_FOLDER,
                                      f"tcp://{self.control}:{TAP_PORT}", self.lab.path("tap.jsonl")]).wait_output("ready")
        self.start_controller()
        self.wait_ready(instances=0)
        self.agents["edge"] = self.agent(mode)
        self.start_agent("edge")
        self.wait_ready(instances=2 * SERVICES)

    def report_as(self, mode):
        self.agents["edge"] = self.agent(mode)
        self.write("edge.yaml", self.agents["edge"])
        self.agent_processes["edge"].signal(signal.SIGHUP)

    def lines(self, name):
        with open(self.lab.path(name), encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def confirmations(self):
        """When the controller knew that the switch had taken a plan: its log, to the millisecond."""
        with open(self.controller.log, encoding="utf-8") as file:
            found = re.findall(r"^(\S+)Z \S+\s+switch synced switch=dr ", file.read(), re.M)
        return [datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() for text in found]


def first_after(items, at, fits, time_of):
    """The first of `items` (in order of time) from `at` on that fits, or None."""
    begin = bisect.bisect_left([time_of(item) for item in items], at)
    return next((item for item in items[begin:] if fits(item)), None)


class Measurement:
    """One mode's steps, followed from station to station."""

    def __init__(self, bed, watch, began):
        self.steps = [e for e in bed.lines("application.jsonl") if "step" in e and e["at"] >= began]
        self.seen = [e for e in bed.lines("application.jsonl") if "seen" in e and e["at"] >= began]
        self.reports = [e for e in bed.lines("tap.jsonl") if e["sent"] >= began]
        self.decisions = bed.sql("select at, service, candidates from decision_contexts where at >= ? order by at", began)
        self.changes = [c for c in watch.changes() if c[0] >= began]
        self.confirmed = bed.confirmations()
        names, rows = bed.instance_ids(), bed.rows("services")
        self.ids = {name: number for number, name in names.items()}
        self.services = {row["id"]: row["name"] for row in rows}

    def follow(self, step):
        """{station: ms} of one step, or the name of the station at which it was lost."""
        instance, value, at = step["step"], step["value"], step["at"]
        service = f"s{(int(instance[1:]) - 1) // 2}"
        until = at + LATE_S
        share = share_of(value)

        def close(slots):
            return abs(slots.get(self.ids[instance], 0) / (sum(slots.values()) or 1) - share) < 0.003

        seen = first_after(self.seen, at, lambda e: e["seen"] == instance, lambda e: e["at"])
        if not seen or seen["at"] > until:
            return "agent-scrape"
        report = first_after(self.reports, at, lambda e: e["report"] == instance and e["utilization"] == value,
                             lambda e: e["sent"])
        if not report or report["sent"] > until:
            return "agent-report"
        change = first_after(self.changes, report["sent"],
                             lambda c: self.services.get(c[1] & 0xFFFF) == service and close(c[2]), lambda c: c[0])
        if not change or change[0] > until:
            return "switch"
        decision = [d for d in self.decisions if d[1] == service and at <= d[0] <= change[0]]
        if not decision:
            return "core"
        confirmed = next((c for c in self.confirmed if c >= change[0] - LOG_S), None)
        if confirmed is None:
            return "confirmed"
        times = [at, seen["at"], report["sent"], report["at"], decision[-1][0], change[0], confirmed]
        result = {station: (b - a) * 1000 for station, a, b in zip(STATIONS, times, times[1:])}
        result["confirmed"] = max(0.0, result["confirmed"])
        result["agent"] = (report["sent"] - at) * 1000
        result["total"] = (change[0] - at) * 1000
        return result


def measure(bed, watch, mode, steps, seed):
    """[{station: ms} of each step], lost ones by station"""
    began = time.time()
    timetable = plan(steps, seed)
    bed.write("plan.json", json.dumps(timetable))
    last = timetable["steps"][-1][0] + LATE_S + 1
    wait_until(lambda: time.time() >= began + last, last + 5, "", poll_s=0.1)
    if watch.problem:
        raise LabError(f"the switch's news of group changes: {watch.problem}")
    measurement = Measurement(bed, watch, began)
    if len(measurement.steps) != steps * SERVICES:
        raise LabError(f"the application took {len(measurement.steps)} steps, not {steps * SERVICES}")
    followed = [measurement.follow(step) for step in measurement.steps]
    lost = [f for f in followed if isinstance(f, str)]
    kept = [f for f in followed if isinstance(f, dict)]
    if lost:
        say(f"{mode}: {len(lost)} of {len(followed)} steps were lost: {sorted(set(lost))}")
    if not kept:
        raise LabError(f"{mode}: no step reached the switch: {lost[:5]}")
    for station in ("total", "agent", *STATIONS):
        values = [f[station] for f in kept]
        say(f"{mode} {station}: p50 {statistics.median(values):.1f} p99 {percentile(values, 0.99):.1f} ms")
    return kept, lost


def rows_of(mode, kept, lost):
    def row(subject, metric, value, unit):
        return {"group": "updates", "case": mode, "subject": subject, "metric": metric, "value": value, "unit": unit,
                "runs": len(kept)}

    result = []
    whole = {"p50_ms": statistics.median(f["total"] for f in kept), "p99_ms": percentile([f["total"] for f in kept], 0.99)}
    for station in ("total", "agent", *STATIONS):
        values = [f[station] for f in kept]
        for metric, value in (("p50_ms", statistics.median(values)), ("p99_ms", percentile(values, 0.99))):
            entry = row(station, metric, value, "ms")
            if station != "total":
                entry |= {"ratio_to": "total", "ratio": value / whole[metric]}
            result.append(entry)
    result.append(row("total", "steps_lost", len(lost), "1"))
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="half the steps")
    parser.add_argument("--modes", default=",".join(REPORTING))
    parser.add_argument("--json", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    modes = arguments.modes.split(",")
    steps = 6 if arguments.quick else 12
    rows = []
    with Lab.up(topology.load(dispatch.TOPOLOGY), f"upd{os.getpid()}") as lab:
        bed = Bed(lab)
        bed.start_all(modes[0])
        with GroupWatch(lab.switches["dr"], dispatch.BRIDGE) as watch:
            for number, mode in enumerate(modes):
                if number:
                    bed.report_as(mode)
                rows += rows_of(mode, *measure(bed, watch, mode, steps, number + 1))
        if not bed.check()["ok"]:
            raise LabError(f"dyncastctl check: {bed.check()}")
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(rows, file)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as failure:
        print(f"bench_updates: {failure}", file=sys.stderr)
        sys.exit(1)
