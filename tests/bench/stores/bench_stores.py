#!/usr/bin/python3
"""The binding stores of in-switch dispatch side by side, with few and with very many bindings.

Usage: bench_stores.py [--quick] [--stores NAME,...] [--sizes N,...] [--parts idle,active,flip] --json FILE

README.md says what each figure is. The topology and the generator are those of the dispatch bench.
"""

import argparse
import json
import os
import signal
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "dispatch"))
# pylint: disable=wrong-import-position
import measure  # noqa: E402
import ours  # noqa: E402
import subjects  # noqa: E402
from bed import cpu_seconds, resident_bytes  # noqa: E402
from lab.errors import LabError  # noqa: E402
from lab.waiting import wait_until  # noqa: E402

STORES = ("timed", "generations", "conntrack", "none")
# Beside `active`: OVS alone, with one `learn` flow without timeout for each binding. What it cannot do is OVS's limit.
BARE = "bare-learn"
PARTS = ("idle", "active", "flip")
FEW = 1000  # what the larger sizes are compared with
SIZES = (FEW, 10_000, 100_000, 1_000_000)
LABELS = {1000: "1k", 10_000: "10k", 90_000: "90k", 100_000: "100k", 1_000_000: "1M"}
# A service with `timed` holds at most 100,000 on a switch; further demands need room.
MOST = {"timed": 90_000, "none": FEW}
MOST_ACTIVE = 100_000  # an active flow has a datapath flow, and Open vSwitch keeps at most 200,000 of these
NEW_PER_S_IDLE, NEW_PER_S_ACTIVE = 1000, 500
FILL_WINDOW = 256
FURTHER = {"timed": 4000, "generations": 4000, "conntrack": 20_000, "none": 20_000}
UNITS = {"demands_per_s": "1/s", "cpu_us_per_demand": "us", "established_pps": "1/s",
         "established_mbps": "Mbit/s", "rtt_p99_us": "us",
         "established_lost": "packets", "established_moved": "flows", "bytes_per_binding": "bytes",
         "controller_bytes_per_binding": "bytes", "new_lost": "packets", "longest_silence_ms": "ms"}


def say(text):
    print(f"stores: {text}", file=sys.stderr, flush=True)


def load():
    return f"load {os.getloadavg()[0]:.1f}"


def label(size):
    return LABELS.get(size, str(size))


class BareLearnUntimed(subjects.BareLearn):
    timeouts = ""


class Bench:
    def __init__(self, quick):
        self.quick = quick
        self.rounds = 1 if quick else 3
        self.seconds = 1.5 if quick else 3.0
        self.labs = 0
        self.seen = {}  # (case, store, metric) -> values
        self.ratios = {}  # (case, store, metric) -> (beside what, values)

    def make(self, store, size, **changes):
        """One D-Router with a service of that store. Bindings stay for as long as the measuring takes."""
        self.labs += 1
        changes = {"idle_timeout": "3600s"} | changes
        # Room for what is asked for besides; with `timed` the most that there is.
        cls = ours.with_store(ours.Learn, store, 100_000 if store == "timed" else size * 2 + 100_000, **changes)
        return cls(f"stor{os.getpid()}-{self.labs}")

    def bare(self):
        self.labs += 1
        return BareLearnUntimed(f"stor{os.getpid()}-{self.labs}")

    def plain(self):
        self.labs += 1
        return subjects.Plain(f"stor{os.getpid()}-{self.labs}")

    def note(self, case, store, **values):
        for metric, value in values.items():
            self.seen.setdefault((case, store, metric), []).append(value)
        say(f"{case} {store}: " + ", ".join(f"{m} {v:,.1f}" for m, v in values.items()) + f" ({load()})")

    def ratio(self, case, store, metric, beside, value, limit):
        if limit:
            self.ratios.setdefault((case, store, metric), (beside, []))[1].append(value / limit)

    # ---- Idle: the bindings lie there, 1,000 flows talk, further demands come ------------------

    def fill(self, subject, store, size, case=None):
        """Makes `size` bindings and waits until they are idle; the number of the first flow."""
        controller = subject.controller_memory_pid() if case else None
        before = resident_bytes(controller) if case else 0
        first, rate, grown, report = measure.hold(subject, size, window=FILL_WINDOW)
        if report["lost"]:
            say(f"{store}: {report['lost']} of {report['sent']} demands lost while binding")
        if case:
            values = {}
            if size >= 10_000 and store != "none":
                values = {"bytes_per_binding": max(0, grown)}
                if store != "conntrack":  # it tells the controller nothing of single bindings
                    values["controller_bytes_per_binding"] = max(0, resident_bytes(controller) - before) / size
            self.note(f"{case}-filling", store, demands_per_s=rate, **values)
        return first

    @staticmethod
    def wait_idle(subject):
        """Until the datapath's own cache of flows has forgotten them (10 s after their last packet)."""
        def few():
            line = next(line for line in subject.bed.switch.appctl("upcall/show").splitlines() if "current" in line)
            return int(line.split("current ")[1].split(")")[0]) < FEW

        wait_until(few, 60, "the end of the datapath's flows", poll_s=0.5)

    def probe(self, subject, store, first):
        """(round trips of 1,000 flows beside new demands, further demands, CPU each of these)."""
        trips = measure.round_trips(subject, first, measure.ACTIVE, self.seconds, NEW_PER_S_IDLE)
        before = cpu_seconds(subject.pids())
        further = subject.generate("new", flows=FURTHER[store], window=measure.WINDOW, seconds=20)
        cpu = (cpu_seconds(subject.pids()) - before) * 1e6 / max(1, further["delivered"])
        return trips, further, cpu

    def idle(self, store, size):
        case = f"idle-{label(size)}"
        with self.make(store, size) as subject, self.plain() as plain:
            first = self.fill(subject, store, size, case)
            for _ in range(self.rounds):
                few = None
                if size > FEW:  # anew each time, since every turn adds bindings
                    with self.make(store, FEW) as other:
                        start = self.fill(other, store, FEW)
                        few = self.probe(other, store, start)
                self.wait_idle(subject)
                limit = measure.established(plain, 0, measure.ACTIVE, self.seconds)
                pps, mbps, _ = measure.established(subject, first, measure.ACTIVE, self.seconds)
                self.note(case, store, established_pps=pps, established_mbps=mbps)
                self.ratio(case, store, "established_pps", "plain", pps, limit[0])
                self.ratio(case, store, "established_mbps", "plain", mbps, limit[1])
                self.note_probe(case, store, self.probe(subject, store, first), few)

    def note_probe(self, case, store, seen, few):
        trips, further, cpu = seen
        self.note(case, store, demands_per_s=further["delivered_per_s"], cpu_us_per_demand=cpu,
                  rtt_p99_us=trips["rtt_us"]["p99"], established_lost=trips["unanswered"],
                  established_moved=trips["flows_moved"], new_lost=trips["new"]["lost"] + further["lost"])
        if few:
            beside = f"{label(FEW)} bindings"
            self.ratio(case, store, "demands_per_s", beside, further["delivered_per_s"], few[1]["delivered_per_s"])
            self.ratio(case, store, "cpu_us_per_demand", beside, cpu, few[2])
            self.ratio(case, store, "rtt_p99_us", beside, trips["rtt_us"]["p99"], few[0]["rtt_us"]["p99"])

    # ---- Active: all of them talk, further demands come ----------------------------------------

    def active(self, store, size):
        case = f"active-{label(size)}"
        seconds = self.seconds * 2
        with self.bare() if store == BARE else self.make(store, size) as subject:
            first = self.fill(subject, store, size)
            # Each flow once and more, so that all have their datapath flow.
            subject.generate("established", flows=size, first=first, window=measure.WINDOW,
                             seconds=max(0.5, size / 10_000))
            for _ in range(self.rounds):
                quiet = subject.generate("established", flows=size, first=first, window=measure.WINDOW, seconds=seconds)
                busy = subject.generate("established", flows=size, first=first, window=measure.WINDOW, seconds=seconds,
                                        background=NEW_PER_S_ACTIVE)
                self.note(case, store, established_pps=quiet["delivered_per_s"])
                self.note(f"{case}-{NEW_PER_S_ACTIVE}-new-per-s", store, established_pps=busy["delivered_per_s"],
                          established_lost=busy["lost"], established_moved=busy["flows_moved"],
                          new_lost=busy["new"]["lost"])
                self.ratio(f"{case}-{NEW_PER_S_ACTIVE}-new-per-s", store, "established_pps", "without new ones",
                           busy["delivered_per_s"], quiet["delivered_per_s"])

    # ---- Flip: generations change while 1,000 flows talk ----------------------------------------

    def flip(self, size):
        """Until the bindings that were made are gone: twice idle_timeout. Active flows must not notice."""
        idle_s = max(20, size // 3000)
        with self.make("generations", size, idle_timeout=f"{idle_s}s") as subject:
            first = self.fill(subject, "generations", size)
            report = measure.round_trips(subject, first, measure.ACTIVE, 2.0 * idle_s + 5, NEW_PER_S_IDLE // 10)
            self.note(f"flip-{label(size)}", "generations", rtt_p99_us=report["rtt_us"]["p99"],
                      longest_silence_ms=report["max_gap_ms"], established_lost=report["unanswered"],
                      established_moved=report["flows_moved"], new_lost=report["new"]["lost"])

    # ---- All ----------------------------------------------------------------------------------

    def attempt(self, what, step, *arguments):
        """One store's failure leaves the others their figures."""
        try:
            step(*arguments)
            return True
        except LabError as error:
            say(f"{what} FAILED: {error}")
            return False

    def run(self, stores, sizes, parts):
        good = True
        for size in sizes:
            for store in stores:
                held = size
                if size > MOST.get(store, size):
                    held = MOST[store]
                    if store != "timed" or size > 100_000:
                        say(f"{label(size)} {store}: left out, "
                            + ("it holds nothing" if store == "none" else "a service holds at most 100,000 with it"))
                        continue
                if "idle" in parts:
                    good &= self.attempt(f"idle-{label(held)} {store}", self.idle, store, held)
                if "active" in parts and held <= MOST_ACTIVE:
                    good &= self.attempt(f"active-{label(held)} {store}", self.active, store, held)
            if "active" in parts and size <= MOST_ACTIVE:
                good &= self.attempt(f"active-{label(size)} {BARE}", self.active, BARE, size)
            if "flip" in parts and "generations" in stores and size == max(sizes):
                good &= self.attempt(f"flip-{label(size)}", self.flip, size)
        return good

    def rows(self):
        result = []
        for (case, store, metric), values in self.seen.items():
            row = {"group": "stores", "case": case, "subject": store, "metric": metric,
                   "value": statistics.median(values), "unit": UNITS[metric], "runs": len(values)}
            if metric in ("established_lost", "established_moved", "new_lost"):
                row["value"] = sum(values)
            if (case, store, metric) in self.ratios:
                beside, ratios = self.ratios[case, store, metric]
                row |= {"ratio_to": beside, "ratio": statistics.median(ratios)}
            result.append(row)
        return result


def main():
    parser = argparse.ArgumentParser(prog="bench_stores")
    parser.add_argument("--quick", action="store_true", help="1k and 10k only, one round")
    parser.add_argument("--json", required=True)
    parser.add_argument("--stores", default=",".join(STORES))
    parser.add_argument("--sizes", help="bindings, by default 1000,10000,100000,1000000 (quick: the first two)")
    parser.add_argument("--parts", default=",".join(PARTS))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # labs are taken down
    stores, parts = arguments.stores.split(","), arguments.parts.split(",")
    unknown = [name for name in stores if name not in STORES] + [name for name in parts if name not in PARTS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    sizes = SIZES[:2] if arguments.quick else SIZES
    if arguments.sizes:
        sizes = tuple(int(size) for size in arguments.sizes.split(","))
    bench = Bench(arguments.quick)
    good = bench.run(stores, sizes, parts)
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(bench.rows(), file, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as failure:
        print(f"bench_stores: {failure}", file=sys.stderr)
        sys.exit(1)
