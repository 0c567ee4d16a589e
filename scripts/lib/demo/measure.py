"""Small questions that several steps ask."""

from fabric import figure2
from lab.waiting import wait_until


def instances_of(service):
    return [name for name, (of, *_) in figure2.INSTANCES.items() if of == service]


def shares(report, service):
    """Part of the connections that each instance of the service answered."""
    seen = {name: report["instances"].get(name, {}).get("connections", 0) for name in instances_of(service)}
    total = sum(seen.values())
    return {name: (count / total if total else 0.0) for name, count in seen.items()}


def in_words(parts):
    return ", ".join(f"{name} {part:.0%}" for name, part in parts.items())


def merge(reports):
    """Sums of several reports' main figures."""
    total = {key: sum(r[key] for r in reports) for key in
             ("requests", "failed", "connections", "moved_connections", "moved_clients")}
    instances = {}
    for report in reports:
        for name, seen in report["instances"].items():
            entry = instances.setdefault(name, {"requests": 0, "connections": 0})
            for key in entry:
                entry[key] += seen[key]
    return {**total, "instances": instances}


def load_of(fabric, instance):
    return fabric.row("instances", instance).get("load") or 0.0


class Burner:
    """Somebody else's work on an instance's host: keeps one core busy, in the edge's cgroup.

    With a high priority, so that it is a core's worth of load on a machine that has other work, too.
    """

    CODE = """
import os
os.setpriority(os.PRIO_PROCESS, 0, -15)
try:
    with open("/proc/self/autogroup", "w") as file:  # sessions share the CPU before processes do
        file.write("-15")
except OSError:
    pass
while True:
    pass
"""

    def __init__(self, fabric, node):
        self.process = fabric.lab.start(node, f"burner-{node}", ["/usr/bin/python3", "-c", self.CODE])

    def stop(self):
        if self.process.running():
            self.process.kill()


def wait_settled(fabric, timeout_s=60):
    """Until nothing of the earlier steps is left that would weigh on new demands of the web service:
    bindings that have not timed out, and load in the newest reports."""

    def settled():
        idle = all(load_of(fabric, name) < 0.3 for name in instances_of("web"))
        return idle and fabric.row("services", "web")["bindings"] == 0

    wait_until(settled, timeout_s, lambda: f"an idle web service; {fabric.rows('services')}", poll_s=0.2)
