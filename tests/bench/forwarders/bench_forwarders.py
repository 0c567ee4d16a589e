#!/usr/bin/python3
"""D-Forwarders: what a D-Forwarder and its D-Router carry, set up, hold, and how fast an instance's death gets round.

Usage: bench_forwarders.py [--quick] [--parts established,demands,memory,death] --json FILE

README.md says what each figure is. The measurements are those of the dispatch bench.
"""

import argparse
import json
import os
import signal
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "dispatch"))
# pylint: disable=wrong-import-position
import hops  # noqa: E402
import measure  # noqa: E402
from bed import cpu_seconds, resident_bytes  # noqa: E402
from fabric import death  # noqa: E402
from lab.errors import LabError  # noqa: E402

PARTS = ("established", "demands", "memory", "death")
MODES = (hops.Forwarded, hops.Reactive)
LABELS = {1: "1", 100: "100", 1000: "1k", 5000: "5k", 10_000: "10k", 100_000: "100k"}
ACTIVE_DYING = 1000
FILL_RATE = 4000
UNITS = {"demands_per_s": "1/s", "first_packet_p50_us": "us", "first_packet_p99_us": "us", "cpu_us_per_demand": "us",
         "d_forwarder_cpu_us_per_demand": "us", "d_router_cpu_us_per_demand": "us",
         "controller_cpu_us_per_demand": "us", "established_pps": "1/s", "established_mbps": "Mbit/s",
         "d_forwarder_bytes_per_binding": "bytes", "d_router_bytes_per_demand": "bytes",
         "controller_bytes_per_binding": "bytes", "d_router_flows_more": "flows", "bindings": "bindings",
         "first_flow_ms": "ms", "last_flow_ms": "ms", "messages": "messages", "lost": "packets"}


def say(text):
    print(f"forwarders: {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, quick):
        self.quick = quick
        self.rounds = 1 if quick else 3
        self.seconds = 1.5 if quick else 3.0
        self.labs = 0
        self.seen = {}  # (case, subject, metric) -> values
        self.ratios = {}  # (case, subject, metric) -> values over plain's, measured in turn with them

    def make(self, cls):
        self.labs += 1
        return cls(hops.lab_name(self.labs))

    def note(self, case, subject, **values):
        for metric, value in values.items():
            self.seen.setdefault((case, subject, metric), []).append(value)
        say(f"{case} {subject}: " + ", ".join(f"{m} {v:,.1f}" for m, v in values.items())
            + f" (load {os.getloadavg()[0]:.1f})")

    # ---- Established --------------------------------------------------------------------------

    def established(self):
        """Small and large packets of bound flows, in turn with the same hops as plain routers."""
        with self.make(hops.Plain) as plain:
            for count in (1, 1000, 10_000) if self.quick else (1, 1000, 100_000):
                with self.make(hops.Forwarded) as subject:
                    first, _, _, report = measure.hold(subject, count)
                    if report["lost"]:
                        say(f"{report['lost']} of {report['sent']} demands lost while binding {count:,}")
                    talking = {f"established-{LABELS[count]}": min(count, measure.ACTIVE)}
                    if count > measure.ACTIVE:
                        talking[f"established-{LABELS[count]}-all-talk"] = count
                    for case, flows in talking.items():
                        for _ in range(self.rounds):
                            self.turn(case, plain, subject, first, flows)

    def turn(self, case, plain, subject, first, flows):
        limit = measure.established(plain, 0, flows, self.seconds)
        seen = measure.established(subject, first, flows, self.seconds)
        if limit[2] or seen[2]:
            say(f"{case}: lost packets: plain {limit[2]}, {subject.name} {seen[2]}")
        metrics = ("established_pps", "established_mbps")
        self.note(case, "plain", **dict(zip(metrics, limit)))
        self.note(case, subject.name, **dict(zip(metrics, seen)))
        for metric, here, there in zip(metrics, seen, limit):
            if there:
                self.ratios.setdefault((case, subject.name, metric), []).append(here / there)

    # ---- Demands ------------------------------------------------------------------------------

    def demands(self):
        for _ in range(self.rounds):
            for cls in (hops.Plain, *MODES):
                rate, cpu, _ = measure.most_demands(lambda c=cls: self.make(c), self.seconds)
                self.note("new-flows", cls.name, demands_per_s=rate, cpu_us_per_demand=cpu)
                with self.make(cls) as subject:
                    p50, p99, lost = measure.first_packet(subject, self.seconds * 2)
                    if lost:
                        say(f"{cls.name}: {lost} first packets lost at {measure.FIRST_PACKET_RATE}/s")
                    self.note(f"new-flows-{measure.FIRST_PACKET_RATE}-per-s", cls.name, first_packet_p50_us=p50,
                              first_packet_p99_us=p99)
                    if cls is not hops.Plain and rate:
                        self.shares(subject, rate)

    def shares(self, subject, rate):
        """Who spends what on a demand, at the highest rate without loss."""
        before = {who: cpu_seconds([pid]) for who, pid in subject.processes().items()}
        report = subject.generate("new", flows=int(rate * self.seconds), rate=rate, seconds=self.seconds * 2)
        spent = {f"{who}_cpu_us_per_demand": (cpu_seconds([pid]) - before[who]) * 1e6 / max(1, report["delivered"])
                 for who, pid in subject.processes().items()}
        self.note("new-flows", subject.name, **spent)

    # ---- Memory -------------------------------------------------------------------------------

    def memory(self):
        """`count` demands twice. Datapath flows, caches and buffers of the first ones are freed, and used for the second
        ones: what these make the processes grow by is the bindings."""
        count = 10_000 if self.quick else 100_000
        for cls in MODES:
            with self.make(cls) as subject:
                for case in (f"memory-{LABELS[count]}-first", f"memory-{LABELS[count]}"):
                    self.note(case, cls.name, **self.grown(subject, count))
                    subject.wait_idle()

    @staticmethod
    def grown(subject, count):
        had, flows = death.held(subject.fabric, 1), subject.d_router_flows()
        before = {who: resident_bytes(pid) for who, pid in subject.processes().items()}
        report = subject.generate("new", flows=count, rate=FILL_RATE, seconds=120, wait=3)
        there = had + report["delivered"]
        subject.fabric.wait(lambda: death.held(subject.fabric, 1) >= there, f"{there} bindings at f1", 60)
        subject.fabric.wait(lambda: subject.known() >= there, f"{there} bindings known to the controller", 60)
        grown = {who: (resident_bytes(pid) - before[who]) / count for who, pid in subject.processes().items()}
        return {"bindings": death.held(subject.fabric, 1) - had, "lost": report["lost"],
                "d_forwarder_bytes_per_binding": grown["d_forwarder"],
                "controller_bytes_per_binding": grown["controller"],
                "d_router_bytes_per_demand": grown["d_router"],
                "d_router_flows_more": subject.d_router_flows() - flows}

    # ---- Death --------------------------------------------------------------------------------

    def death(self):
        """As the lab's scenario forwarder-instance-dies-under-many-bindings, which checks what must hold."""
        for turn, present in enumerate((100, 5000) if self.quick else (100, 100_000)):
            for _ in range(self.rounds):
                with self.make(hops.Forwarded) as subject:
                    death.bind(subject.fabric, subject.generator, present, turn, port=hops.PORT, sid=subject.sid)
                    report, died, spent = death.die(subject.fabric, subject.generator, "web", active=ACTIVE_DYING,
                                                    turn=turn, port=hops.PORT, sid=subject.sid)
                    self.note(f"death-{LABELS[present]}", subject.name, lost=report["lost"],
                              first_flow_ms=1000 * (report["first_move_at"] - died),
                              last_flow_ms=1000 * (report["last_move_at"] - died), messages=death.messages(spent))

    # ---- All ----------------------------------------------------------------------------------

    def run(self, parts):
        good = True
        for part in parts:
            try:
                getattr(self, part)()
            except LabError as error:  # the others keep their figures
                say(f"{part} FAILED: {error}")
                good = False
        return good

    def rows(self):
        result = []
        for (case, subject, metric), values in self.seen.items():
            row = {"group": "forwarders", "case": case, "subject": subject, "metric": metric,
                   "value": statistics.median(values), "unit": UNITS[metric], "runs": len(values)}
            plain = self.seen.get((case, "plain", metric))
            if (case, subject, metric) in self.ratios:
                row |= {"ratio_to": "plain", "ratio": statistics.median(self.ratios[case, subject, metric])}
            elif subject != "plain" and plain and statistics.median(plain):
                row |= {"ratio_to": "plain", "ratio": statistics.median(values) / statistics.median(plain)}
            result.append(row)
        return result


def main():
    parser = argparse.ArgumentParser(prog="bench_forwarders")
    parser.add_argument("--quick", action="store_true", help="one round, up to 10,000 bindings")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--json", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # labs are taken down
    parts = arguments.parts.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        parser.error(f"no {', '.join(unknown)}")
    bench = Bench(arguments.quick)
    good = bench.run(parts)
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(bench.rows(), file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as failure:
        print(f"bench_forwarders: {failure}", file=sys.stderr)
        sys.exit(1)
