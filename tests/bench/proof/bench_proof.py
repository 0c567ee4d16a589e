#!/usr/bin/python3
"""Policies side by side on one fabric of real switches, servers and agents: what requests took, from the clients' side.

Usage: bench_proof.py [--quick] [--policies NAME,...] [--dispatch NAME,...] [--rounds N] [--report-ms N] --json FILE

README.md says what is compared. In a round every policy gets the same demands, one after the other; the order rotates
from round to round.
"""

import argparse
import json
import os
import signal
import statistics
import sys

from fabric import selection
from fabric.trial import Load, PHASES, SelectionFabric
from lab import topology
from lab.errors import LabError
from lab.lab import Lab

OURS = "auto"
POLICIES = (OURS, "round-robin", "lowest-delay", "least-loaded")
METRICS = ("p50_ms", "p95_ms", "p99_ms")


def say(text):
    print(f"proof: {text}", file=sys.stderr, flush=True)


def short(values):
    return ", ".join(f"{name.removesuffix('_ms')} {value:.0f}" for name, value in values.items())


class Bench:
    def __init__(self, arguments):
        self.policies = arguments.policies.split(",")
        self.dispatches = arguments.dispatch.split(",")
        self.rounds = arguments.rounds or (1 if arguments.quick else 3)
        self.load = Load(warm_up_s=4, phase_s=4) if arguments.quick else Load()
        self.report_ms = arguments.report_ms
        self.seen = {}  # (dispatch, phase or None, policy) -> [percentiles of each round]
        self.failed = {}  # (dispatch, policy) -> [requests without an answer, of each round]

    def run(self):
        with Lab.up(topology.load(selection.TOPOLOGY), f"proof{os.getpid()}") as lab:
            fabric = SelectionFabric(lab, policy=self.policies[0], report_interval_ms=self.report_ms)
            fabric.start()
            fabric.wait_paths()
            say(f"demand {self.load.demand():.2f} of the capacity, {self.load.seconds():.0f} s a policy")
            for number in range(self.rounds):
                self.load.seed = number + 1
                for dispatch in self.dispatches:
                    turn = number % len(self.policies)
                    for policy in self.policies[turn:] + self.policies[:turn]:
                        self.measure(fabric, policy, dispatch)
            if not fabric.check()["ok"]:
                raise LabError(f"dyncastctl check: {fabric.check()}")

    def measure(self, fabric, policy, dispatch):
        fabric.use(policy, dispatch)
        outcome = fabric.trial(policy, self.load)
        for phase in (None, *PHASES):
            self.seen.setdefault((dispatch, phase, policy), []).append(outcome.percentiles(phase))
        self.failed.setdefault((dispatch, policy), []).append(outcome.failed)
        shares = " ".join(f"{name} {share:.0%}" for name, share in outcome.shares().items())
        phases = "; ".join(f"{phase} {short(outcome.percentiles(phase))}" for phase in PHASES)
        say(f"{dispatch} {policy}: {short(outcome.percentiles())} ms of {len(outcome.of())} requests, {outcome.failed} "
            f"unanswered ({phases}; {shares})")

    def rows(self):
        result = []
        for dispatch in self.dispatches:
            for phase in (None, *PHASES):
                case = dispatch if phase is None else f"{dispatch}-{phase}"
                for policy in self.policies:
                    result += self.percentile_rows(case, dispatch, phase, policy)
            for policy in self.policies:
                result.append(self.row(dispatch, policy, "unanswered", statistics.median(self.failed[dispatch, policy]),
                                       "1"))
                if policy != OURS and OURS in self.policies:
                    result.append(self.row(dispatch, policy, "rounds_auto_wins_at_p99", self.wins(dispatch, policy),
                                           "rounds"))
        return result

    def percentile_rows(self, case, dispatch, phase, policy):
        rounds = self.seen[dispatch, phase, policy]
        beside = self.seen.get((dispatch, phase, OURS))
        for metric in METRICS:
            row = self.row(case, policy, metric, statistics.median(r[metric] for r in rounds), "ms")
            if policy != OURS and beside:
                row |= {"ratio_to": OURS,
                        "ratio": statistics.median(r[metric] / b[metric] for r, b in zip(rounds, beside) if b[metric])}
            yield row

    def wins(self, dispatch, policy):
        pairs = zip(self.seen[dispatch, None, policy], self.seen[dispatch, None, OURS])
        return sum(ours["p99_ms"] < theirs["p99_ms"] for theirs, ours in pairs)

    def row(self, case, subject, metric, value, unit):
        return {"group": "proof", "case": case, "subject": subject, "metric": metric, "value": value, "unit": unit,
                "runs": self.rounds}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one round of shorter phases")
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--dispatch", default="reactive", help="reactive, learn or both with a comma")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--report-ms", type=int, default=1000, help="the agents' report_interval")
    parser.add_argument("--json", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(arguments)
    bench.run()
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(bench.rows(), file)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as failure:
        print(f"bench_proof: {failure}", file=sys.stderr)
        sys.exit(1)
