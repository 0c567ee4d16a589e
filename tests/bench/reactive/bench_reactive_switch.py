#!/usr/bin/python3
"""Demands through a real switch: new TCP connections to a D-SID, and the same to an address that the same
D-Router only routes. The routed path is the limit; both run in turn in one lab.

Usage: bench_reactive_switch.py [--quick] --json FILE
"""

import argparse
import json
import os
import statistics
import sys

from fabric import figure2
from fabric.running import Fabric
from lab import topology
from lab.errors import LabError
from lab.lab import Lab, program

PLAIN_PORT = 9090  # of no service: the D-Router routes it, nothing else


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(fabric, targets, *, seconds, connections=1, rate=0):
    """One load of new connections, with the CPU that the D-Router and the controller spent on it."""
    pids = (fabric.lab.switches["dr1"].pid("ovs-vswitchd"), fabric.controller.popen.pid)
    before = [cpu_seconds(pid) for pid in pids]
    report = fabric.clients.run("c1a", targets, seconds=seconds, connections=connections, rate=rate,
                                new_connections=True, path="/", timeout_ms=5000)
    if report["failed"]:
        raise LabError(f"{report['failed']} of {report['requests']} requests to {targets} failed")
    spent = [(cpu_seconds(pid) - b) * 1e6 / max(1, report["requests"]) for pid, b in zip(pids, before)]
    return report, spent


def switch_memory(bindings):
    """Bytes that a fresh ovs-vswitchd grows by for a binding; what it frees it keeps, so nothing runs before."""
    with Lab.up(topology.load(figure2.TOPOLOGY), f"benchm{os.getpid()}") as lab:
        document = figure2.fabric(lab)
        document["services"][0]["affinity"] = {"key": "5-tuple", "idle_timeout": "600s", "fin_timeout": "0s"}
        fabric = Fabric(lab, fabric=document)
        fabric.start()
        pid = lab.switches["dr1"].pid("ovs-vswitchd")
        load = {"connections": 32, "new_connections": True, "timeout_ms": 5000}
        fabric.clients.run("c1a", figure2.targets("web"), requests=1000, **load)  # buffers have grown after this
        held, kb = fabric.row("services", "web")["bindings"], resident_kb(pid)
        fabric.clients.run("c1a", figure2.targets("web"), requests=bindings, **load)
        grown = fabric.row("services", "web")["bindings"] - held
        if grown < bindings * 0.9:
            raise LabError(f"{grown} bindings stand after {bindings} demands")
        return (resident_kb(pid) - kb) * 1024 / grown


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", required=True)
    arguments = parser.parse_args()
    seconds, runs = (1, 3) if arguments.quick else (4, 7)
    seen = {}

    def note(key, value):
        seen.setdefault(key, []).append(value)

    bytes_per_binding = switch_memory(4000 if arguments.quick else 20000)
    with Lab.up(topology.load(figure2.TOPOLOGY), f"bench{os.getpid()}") as lab:
        document = figure2.fabric(lab)
        document["services"][0]["affinity"] = {"key": "5-tuple", "idle_timeout": "300s", "fin_timeout": "1s"}
        fabric = Fabric(lab, fabric=document)
        fabric.start()
        plain = lab.start("i21", "plain-i21", [program("dyncast-web"), "--bind", f"10.2.21.2:{PLAIN_PORT}", "--name",
                                               "plain"])
        plain.wait_output("ready")
        paths = {"anycast": figure2.targets("web"), "routed": [f"10.2.21.2:{PLAIN_PORT}"]}
        for _ in range(runs):
            for name, targets in paths.items():
                report, _ = measure(fabric, targets, seconds=seconds, rate=300, connections=16)
                note((name, "p50"), report["first_latency_ms"]["p50"] * 1000)
                note((name, "p99"), report["first_latency_ms"]["p99"] * 1000)
                report, spent = measure(fabric, targets, seconds=seconds, connections=32)
                note((name, "rate"), report["requests"] / report["seconds"])
                note((name, "switch_cpu"), spent[0])
                note((name, "controller_cpu"), spent[1])
        if not fabric.check()["ok"]:
            raise LabError(f"dyncastctl check: {fabric.check()}")

    def middle(*key):
        return statistics.median(seen[key])

    def row(subject, metric, value, unit, ratio_to=None, ratio=None, case="real-switch"):
        result = {"group": "reactive", "case": case, "subject": subject, "metric": metric, "value": value, "unit": unit,
                  "runs": runs}
        if ratio_to:
            result |= {"ratio_to": ratio_to, "ratio": ratio}
        return result

    rows = []
    for metric, key, unit in (("demands_per_s", "rate", "1/s"), ("connect_and_answer_p50", "p50", "us"),
                              ("connect_and_answer_p99", "p99", "us"), ("switch_cpu_per_demand", "switch_cpu", "us")):
        pairs = [a / b for a, b in zip(seen["anycast", key], seen["routed", key]) if b]
        rows.append(row("routed", metric, middle("routed", key), unit))
        rows.append(row("anycast", metric, middle("anycast", key), unit, "routed", statistics.median(pairs)))
    rows.append(row("anycast", "controller_cpu_per_demand", middle("anycast", "controller_cpu"), "us"))
    rows.append(row("ovs-vswitchd", "bytes_per_binding", bytes_per_binding, "bytes", case="memory"))
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(rows, file)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as failure:
        print(f"bench_reactive_switch: {failure}", file=sys.stderr)
        sys.exit(1)
