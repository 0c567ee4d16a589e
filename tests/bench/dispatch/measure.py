"""The measurements of the dispatch bench; each takes a running subject."""

import time

from bed import cpu_seconds, resident_bytes

LOST_SHARE = 0.001  # 'without loss': at most one demand of a thousand
WINDOW = 64
FIRST_PACKET_RATE = 500
ACTIVE = 1000
BIG_PADDING = 1368  # with it a frame is 1442 octets long


def lossless(report, rate):
    return report["lost"] <= LOST_SHARE * report["sent"] and report["sent_per_s"] >= 0.95 * rate


def open_loop(subject, rate, seconds):
    """Demands at a rate whatever becomes of them: the report, and the CPU time that each cost."""
    pids = subject.pids()
    before = cpu_seconds(pids)
    report = subject.generate("new", flows=max(100, int(rate * seconds)), rate=rate, seconds=seconds * 2)
    spent = cpu_seconds(pids) - before
    return report, spent * 1e6 / max(1, report["delivered"])


def most_demands(make, seconds):
    """The highest of a falling row of open-loop rates at which no demand is lost: (rate, CPU us per demand).

    The row begins at what the subject carries with a few demands under way. Each try begins without bindings.
    """
    subject = make()
    try:
        subject.generate("new", flows=500, window=16, seconds=2)
        subject_window = subject.generate("new", flows=int(200_000 * seconds), window=WINDOW, seconds=seconds, wait=0.5)
        ceiling = subject_window["delivered_per_s"]
        share, cpu, accepted = 1.0, 0.0, 0.0
        while share > 0.02:
            if not subject.forget():
                subject.stop()
                subject = make()
                subject.generate("new", flows=500, window=16, seconds=2)
            rate = ceiling * share
            report, cpu = open_loop(subject, rate, seconds)
            if lossless(report, rate):
                accepted = report["delivered_per_s"]
                break
            share *= 0.9
        return accepted, cpu, ceiling
    finally:
        subject.stop()


def first_packet(subject, seconds):
    """(p50, p99) in microseconds of what a demand's first packet takes, at a rate that all subjects carry."""
    subject.generate("new", flows=200, rate=FIRST_PACKET_RATE)
    report = subject.generate("new", flows=int(FIRST_PACKET_RATE * seconds), rate=FIRST_PACKET_RATE)
    return report["latency_us"]["p50"], report["latency_us"]["p99"], report["lost"]


def hold(subject, count, window=WINDOW):
    """Makes `count` bindings; (number of the first flow, rate, bytes that the subject's process grew by for each)."""
    pid = subject.memory_pid()
    subject.generate("new", flows=500, window=16, seconds=5)  # buffers have grown after this
    before = resident_bytes(pid) if pid else 0
    first = subject.bed.take_flows(count)
    report = subject.generate("new", flows=count, first=first, window=window, seconds=30 + count / 1000, wait=2)
    grown = (resident_bytes(pid) - before) / max(1, report["delivered"]) if pid else 0
    return first, report["delivered_per_s"], grown, report


def established(subject, first, flows, seconds):
    """(packets per second of small packets, Mbit/s of large ones, lost) over `flows` flows, without loss."""
    subject.generate("established", flows=flows, first=first, window=WINDOW, seconds=0.3, wait=0.3)
    small = subject.generate("established", flows=flows, first=first, window=WINDOW, seconds=seconds)
    large = subject.generate("established", flows=flows, first=first, window=WINDOW // 2, seconds=seconds,
                             padding=BIG_PADDING)
    return small["delivered_per_s"], large["mbit_per_s"], small["lost"] + large["lost"]


def round_trips(subject, first, flows, seconds, new_per_s, rate=2000):
    """Answers to established flows while new demands come: the report."""
    return subject.generate("established", flows=flows, first=first, rate=rate, seconds=seconds, answer=True,
                            background=new_per_s)


def repair(subject, kill, victim, *, proto="udp", seconds=5.0, rate=500):
    """Milliseconds from an instance's death until the last new demand that still went to it."""
    process = subject.launch("new", flows=int(rate * seconds), rate=rate, seconds=seconds * 2, proto=proto)
    time.sleep(seconds / 4)  # lint: sleep the load runs meanwhile, this is its timetable
    died = time.time()
    kill(victim)
    report = subject.bed.finish(process)
    arrivals = report["arrivals"].get(victim)
    return max(0.0, (arrivals[1] - died) * 1000) if arrivals else 0.0
