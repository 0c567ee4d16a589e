"""One policy under a load of sessions on the fabric of `selection`: what each request took, from the clients' side.

The load is drawn from a seed, so every policy gets the same demands at the same times. One instance may be slowed for
the middle third. Requests of the warm-up count nowhere.
"""

import csv
import json
import time
from dataclasses import dataclass, field

from lab.errors import LabError
from lab.lab import program
from lab.waiting import wait_until

from . import selection
from .running import Fabric

PHASES = ("before", "slowed", "after")
SLOWED = "e3"
SLOWED_PERCENT = 30


@dataclass
class Load:
    # Sessions per second of each client node; a session has `requests` of `work_ms`, `think_ms` apart (means).
    sessions_per_s: dict = field(default_factory=lambda: {"c1": 34.0, "c2": 26.0})
    requests: float = 5.0
    think_ms: float = 100.0
    work_ms: float = 40.0
    work_sigma: float = 0.5
    timeout_ms: int = 3000
    warm_up_s: float = 5.0
    phase_s: float = 8.0
    seed: int = 1

    def demand(self):
        """Requests per second over the capacity of all edges."""
        capacity = sum(selection.PLACES.values()) / (self.work_ms / 1000)
        return sum(self.sessions_per_s.values()) * self.requests / capacity

    def seconds(self):
        return self.warm_up_s + len(PHASES) * self.phase_s


def percentile(values, part):
    """Nearest rank; 0 without values."""
    ordered = sorted(values)
    return ordered[round(part * (len(ordered) - 1))] if ordered else 0.0


class Outcome:
    """What the clients saw: latencies in ms by phase. A request that was not answered took the whole timeout."""

    def __init__(self, policy):
        self.policy = policy
        self.latencies = {phase: [] for phase in PHASES}
        self.instances = {}
        self.reports = {}
        self.failed = 0

    def add(self, phase, latency_ms, instance, failed):
        self.latencies[phase].append(latency_ms)
        self.failed += failed
        if instance:
            self.instances[instance] = self.instances.get(instance, 0) + 1

    def of(self, phase=None):
        return self.latencies[phase] if phase else [v for values in self.latencies.values() for v in values]

    def percentiles(self, phase=None):
        values = self.of(phase)
        return {"p50_ms": percentile(values, 0.5), "p95_ms": percentile(values, 0.95), "p99_ms": percentile(values, 0.99)}

    def shares(self):
        whole = sum(self.instances.values()) or 1
        return {name: self.instances.get(name, 0) / whole for name in selection.INSTANCES}


class SelectionFabric(Fabric):
    """Running on selection.yaml; `use` changes the policy by a reload, as an operator would."""

    def __init__(self, lab, *, policy="round-robin", dispatch="reactive", report_interval_ms=1000):
        agents = {name: selection.agent(lab, name, report_interval_ms=report_interval_ms) for name in selection.AGENTS}
        super().__init__(lab, fabric=selection.fabric(lab, policy=policy, dispatch=dispatch), agents=agents,
                         layout=selection)
        self.runs = 0

    def use(self, policy, dispatch="reactive"):
        self.fabric["services"] = [selection.service(policy, dispatch)]
        self.reload(self.fabric)
        self.wait_row("services", selection.SERVICE, lambda r: (r["policy"], r["dispatch"]) == (policy, dispatch), 10,
                      f"policy {policy}, dispatch {dispatch}")
        self.wait_idle()

    def wait_idle(self):
        """Until no binding of an earlier load is left, and the servers' figures of the last second are those of rest."""
        self.wait_row("services", selection.SERVICE, lambda r: r["bindings"] == 0, 30, "no bindings")

        def at_rest():
            return all(m.get("utilization", 1) == 0 for m in (self.metrics(name) for name in selection.INSTANCES))

        self.wait(at_rest, "servers at rest")

    def wait_paths(self):
        """Until each D-Router's agent has measured the way to every edge."""

        def measured():
            seen = {(row["switch"], row["site"]) for row in self.rows("metrics") if row["name"] == "rtt"}
            return seen >= {(switch, edge) for switch in selection.ROUTERS for edge in selection.INSTANCES}

        self.wait(measured, lambda: f"round-trip times of all ways; {self.try_ctl('metrics')}")

    def metrics(self, instance):
        """The samples of a server's own page."""
        text = self.lab.run(instance, "curl", "-s", f"http://{selection.target(instance)}/metrics")
        return {words[0]: float(words[1]) for words in (line.split() for line in text.splitlines())
                if len(words) == 2 and words[0] != "#"}

    def set_speed(self, instance, percent):
        answer = self.lab.run(instance, "curl", "-s", f"http://{selection.target(instance)}/speed?percent={percent}")
        if answer.strip() != str(percent):
            raise LabError(f"{instance}: speed {percent}: {answer.strip()}")

    def trial(self, policy, load, *, slow=SLOWED):
        """The clients' outcome under `load`, with `slow` at 30% for the middle third (None: nobody)."""
        self.runs += 1
        running, samples = {}, {}
        for number, (node, rate) in enumerate(load.sessions_per_s.items()):
            name = f"sessions{self.runs}-{node}"
            samples[node] = self.lab.path(f"{name}.csv")
            running[node] = self.lab.start(node, name, [
                program("dyncast-sessions"), "--target", selection.target(), "--rate", str(rate),
                "--requests", str(load.requests), "--think-ms", str(load.think_ms), "--work-ms", str(load.work_ms),
                "--work-sigma", str(load.work_sigma), "--timeout-ms", str(load.timeout_ms),
                "--seconds", str(load.seconds()), "--seed", str(1000 * load.seed + number),
                "--bind-source", ",".join(self.lab.addresses(node)), "--samples", samples[node]])
        begun = time.monotonic()
        changes = []
        for phase, percent in ((1, SLOWED_PERCENT), (2, 100)):
            due = begun + load.warm_up_s + phase * load.phase_s
            wait_until(lambda at=due: time.monotonic() >= at, load.seconds() + 5, "", poll_s=0.01)
            if slow:
                self.set_speed(slow, percent)
            changes.append(time.time())
        outcome = Outcome(policy)
        for node, process in running.items():
            process.wait(load.seconds() + load.timeout_ms / 1000 + 60)
            report = next((r for r in map(as_report, process.output().splitlines()) if r), None)
            if report is None:
                raise LabError(f"{process.name}: no report:\n{process.output()[-1000:]}")
            outcome.reports[node] = report
            self._read(samples[node], report["began"], changes, load, outcome)
        return outcome

    @staticmethod
    def _read(path, began, changes, load, outcome):
        with open(path, encoding="utf-8") as file:
            for row in csv.DictReader(file):
                meant = int(row["meant_us"]) / 1e6
                if meant < load.warm_up_s:
                    continue
                phase = PHASES[sum(began + meant >= at for at in changes)]
                failed = bool(row["failure"])
                latency = int(row["latency_us"]) / 1000
                outcome.add(phase, max(latency, load.timeout_ms) if failed else latency, row["instance"], failed)


def as_report(line):
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) and document.get("event") == "report" else None
