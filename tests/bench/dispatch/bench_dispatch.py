#!/usr/bin/python3
"""Ways to dispatch demands, side by side on one topology: the product, bare Open vSwitch, and peers.

Usage: bench_dispatch.py [--quick] [--subjects NAME,...] [--parts demands,established,repair] --json FILE

README.md says what each figure is. Peers are optional packages: the bench names those that are missing and goes on.
"""

import argparse
import json
import os
import signal
import statistics
import sys

import measure
import ours
import peers
import proxy
import subjects
from bed import NAMES, SID
from lab.errors import LabError
from peers import CHECK_PORT

# In the order of a round: what is compared stands side by side.
SUBJECTS = {cls.name: cls for cls in (subjects.Plain, subjects.StatelessGroup, subjects.BareLearn, ours.Learn,
                                      ours.Reactive, peers.OsKen, peers.TestController, peers.Ovn, peers.Nft,
                                      peers.HaProxy)}
# What a subject's demands per second are compared with.
BESIDE = {"learn": "bare-learn", "reactive": "os-ken"}
# Further kinds of a subject, in rows of their own: new-flows-VARIANT.
VARIANTS = {"bare-learn": [subjects.BareLearnMonitored], "learn": [ours.LearnTimed]}
PARTS = ("demands", "established", "repair")
SIZES = ((1, "1"), (1000, "1k"), (100_000, "100k"), (1_000_000, "1M"))
SEEN_UNITS = {"demands_per_s": "1/s", "first_packet_p50_us": "us", "first_packet_p99_us": "us",
              "cpu_us_per_demand": "us", "established_pps": "1/s", "established_mbps": "Mbit/s",
              "bytes_per_binding": "bytes", "repair_ms": "ms"}


def say(text):
    print(f"dispatch: {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, quick):
        self.quick = quick
        self.rounds = 1 if quick else 3
        self.seconds = 1.5 if quick else 3.0
        self.labs = 0
        self.seen = {}  # (case, subject, metric) -> values
        self.ratios = {}  # (case, subject, metric) -> values over plain's, measured in turn with them

    def lab_name(self):
        self.labs += 1
        return f"disp{os.getpid()}-{self.labs}"

    def make(self, cls):
        return cls(self.lab_name())

    def note(self, case, subject, **values):
        for metric, value in values.items():
            self.seen.setdefault((case, subject, metric), []).append(value)
        say(f"{case} {subject}: " + ", ".join(f"{m} {v:,.1f}" for m, v in values.items()))

    # ---- Demands ------------------------------------------------------------------------------

    def demands(self, cls):
        rate, cpu, _ = measure.most_demands(lambda: self.make(cls), self.seconds)
        values = {"demands_per_s": rate}
        if cls is not peers.Nft:  # the kernel's work is no process's
            values["cpu_us_per_demand"] = cpu
        kind = f"-{cls.variant}" if cls.variant else ""
        self.note(f"new-flows{kind}", cls.name, **values)
        with self.make(cls) as subject:
            p50, p99, lost = measure.first_packet(subject, self.seconds * 2)
            if lost:
                say(f"{cls.name}: {lost} first packets lost at {measure.FIRST_PACKET_RATE}/s")
        self.note(f"new-flows{kind}-{measure.FIRST_PACKET_RATE}-per-s", cls.name, first_packet_p50_us=p50,
                  first_packet_p99_us=p99)

    def connections(self):
        """haproxy, and what is measured the same way beside it."""
        with self.make(proxy.Direct) as direct:
            self.note_connections("plain", direct, [f"10.2.{n}.2:{CHECK_PORT}" for n in range(1, len(NAMES) + 1)])
        with self.make(peers.HaProxy) as haproxy:
            self.note_connections("haproxy", haproxy, [f"{SID}:{CHECK_PORT}"])
            self.note("repair", "haproxy", repair_ms=proxy.repair(haproxy))

    def note_connections(self, name, subject, targets):
        rate, cpu, p50, p99 = proxy.connections(subject, targets, self.seconds)
        values = {"demands_per_s": rate, "first_packet_p50_us": p50, "first_packet_p99_us": p99}
        if subject.pids():
            values["cpu_us_per_demand"] = cpu
        self.note("tcp-connections", name, **values)

    # ---- Established --------------------------------------------------------------------------

    def established(self, cls):
        for count, label in SIZES:
            if count > 1 and not cls.bindings:
                break
            if count > cls.most_bindings:
                say(f"established-{label} {cls.name}: left out, it holds at most {cls.most_bindings:,}")
                break
            if self.quick and count > (100_000 if cls.name in ("learn", "bare-learn") else 1000):
                say(f"established-{label} {cls.name}: only without --quick")
                break
            holder = cls
            if issubclass(cls, ours.Ours) and count > 1000:
                holder = ours.with_store(cls, "generations", count * 2)
            with self.make(holder) as subject:
                first, _, grown, report = measure.hold(subject, count)
                if report["lost"]:
                    say(f"established-{label} {cls.name}: {report['lost']} of {report['sent']} demands lost while "
                        "binding")
                flows = min(count, measure.ACTIVE)
                pps, mbps = self.beside_plain(f"established-{label}", subject, first, flows)
            values = {"established_pps": pps, "established_mbps": mbps}
            if cls.bindings and count >= 20_000 and grown > 0:
                values["bytes_per_binding"] = grown
            self.note(f"established-{label}", cls.name, **values)

    def beside_plain(self, case, subject, first, flows):
        """Packets per second and Mbit/s of a subject; each turn has plain forwarding in it, for the ratio."""
        turns = []
        with self.make(subjects.Plain) as plain:
            for _ in range(self.rounds):
                limit = measure.established(plain, 0, flows, self.seconds)
                turn = measure.established(subject, first, flows, self.seconds)
                turns.append(turn)
                for i, metric in enumerate(("established_pps", "established_mbps")):
                    if subject.name != "plain" and limit[i]:
                        self.ratios.setdefault((case, subject.name, metric), []).append(turn[i] / limit[i])
        return statistics.median(t[0] for t in turns), statistics.median(t[1] for t in turns)

    # ---- Repair -------------------------------------------------------------------------------

    def repair(self, cls):
        victim = NAMES[1]
        with self.make(ours.with_quick_checks(cls) if issubclass(cls, ours.Ours) else cls) as subject:
            proto = "udp"
            if cls is peers.Ovn:
                subject.check_instances()
                proto = "tcp"
            self.note("repair", cls.name, repair_ms=measure.repair(subject, subject.kill_instance, victim, proto=proto))

    # ---- All ----------------------------------------------------------------------------------

    def attempt(self, what, step, *arguments):
        """One subject's failure leaves the others their figures. False if it failed."""
        try:
            step(*arguments)
            return True
        except LabError as error:
            say(f"{what} FAILED: {error}")
            return False

    def run(self, wanted, parts):
        good = True
        for _ in range(self.rounds):
            for cls in wanted:
                if cls is peers.HaProxy:
                    if "demands" in parts:
                        good &= self.attempt("haproxy", self.connections)
                    continue
                if "demands" in parts:
                    for kind in [cls, *VARIANTS.get(cls.name, [])]:
                        good &= self.attempt(cls.name, self.demands, kind)
                if "repair" in parts and hasattr(cls, "kill_instance"):
                    good &= self.attempt(cls.name, self.repair, cls)
        if "established" in parts:
            for cls in wanted:
                if cls is not peers.HaProxy:
                    good &= self.attempt(cls.name, self.established, cls)
        return good

    @staticmethod
    def beside(values, limits):
        """The ratio: round by round where both were in all rounds, since what runs a minute apart is less alike."""
        if len(values) == len(limits) and all(limits):
            return statistics.median(value / limit for value, limit in zip(values, limits))
        return statistics.median(values) / statistics.median(limits)

    def rows(self):
        middle = {key: statistics.median(values) for key, values in self.seen.items()}
        result = []
        for (case, subject, metric), values in self.seen.items():
            row = {"group": "dispatch", "case": case, "subject": subject, "metric": metric,
                   "value": middle[case, subject, metric], "unit": SEEN_UNITS[metric], "runs": len(values)}
            beside = BESIDE.get(subject, "plain")
            of_case = case
            for kind in VARIANTS.get(subject, []):  # against the plain kind
                if case.startswith(f"new-flows-{kind.variant}"):
                    beside, of_case = "bare-learn", case.replace(f"-{kind.variant}", "")
            limit = middle.get((of_case, beside, metric), 0)
            if (case, subject, metric) in self.ratios:
                turns = self.ratios[case, subject, metric]
                row |= {"ratio_to": "plain", "ratio": statistics.median(turns), "runs": len(turns)}
            elif (beside != subject or of_case != case) and limit and metric not in ("bytes_per_binding", "repair_ms"):
                row |= {"ratio_to": beside, "ratio": self.beside(values, self.seen[of_case, beside, metric])}
            result.append(row)
        return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--subjects", default=",".join(SUBJECTS))
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--json", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # labs are taken down
    unknown = [n for n in arguments.subjects.split(",") if n not in SUBJECTS]
    unknown += [n for n in arguments.parts.split(",") if n not in PARTS]
    if unknown:
        parser.error(f"no {', '.join(unknown)}")
    wanted = []
    for name in arguments.subjects.split(","):
        try:
            SUBJECTS[name].require()
            wanted.append(SUBJECTS[name])
        except subjects.Missing as missing:
            say(f"{name} is left out: {missing}")
    bench = Bench(arguments.quick)
    good = bench.run(wanted, arguments.parts.split(","))
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(bench.rows(), file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as failure:
        print(f"bench_dispatch: {failure}", file=sys.stderr)
        sys.exit(1)
