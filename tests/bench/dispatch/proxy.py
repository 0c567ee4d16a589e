"""What needs real TCP connections: haproxy, and the same connections straight to the instances."""

import json
import subprocess
import time

from bed import NAMES, SID, cpu_seconds
from lab.errors import LabError
from lab.lab import program
from peers import CHECK_PORT, connect_client, start_servers
from subjects import Subject


def load(bed, targets, **options):
    """Starts dyncast-load at the client: each request over a connection of its own."""
    argv = [program("dyncast-load"), "--target", ",".join(targets), "--new-connection-per-request", "--path", "/"]
    for key, value in options.items():
        argv += [f"--{key.replace('_', '-')}", str(value)]
    return subprocess.Popen(bed.lab.command("cl", argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, timeout_s=120):
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LabError(f"dyncast-load: no end within {timeout_s} s") from None
    if process.returncode != 0 or not out.strip():
        raise LabError(f"dyncast-load: {err.strip()[-500:]}")
    return json.loads(out.strip().splitlines()[-1])


class Direct(Subject):
    """The same connections to the instances themselves, by the same kernel: what a proxy's are compared with."""

    name = "plain"
    middle = "router"

    def start(self):
        self.servers = start_servers(self.bed)
        connect_client(self.bed)

    def pids(self):
        return []


def connections(subject, targets, seconds):
    """(connections per second, CPU us each, p50 us, p99 us) of connect and answer."""
    finish(load(subject.bed, targets, seconds=0.3, connections=8))
    before = cpu_seconds(subject.pids())
    full = finish(load(subject.bed, targets, seconds=seconds, connections=32))
    cpu = (cpu_seconds(subject.pids()) - before) * 1e6 / max(1, full["requests"])
    calm = finish(load(subject.bed, targets, seconds=seconds, connections=16, rate=300))
    if full["failed"] or calm["failed"]:
        raise LabError(f"{subject.name}: {full['failed'] + calm['failed']} connections failed")
    latency = calm["first_latency_ms"]
    return full["requests"] / full["seconds"], cpu, latency["p50"] * 1000, latency["p99"] * 1000


def repair(subject, seconds=4.0):
    """Milliseconds from an instance's death until the last connection that failed."""
    process = load(subject.bed, [f"{SID}:{CHECK_PORT}"], seconds=seconds, connections=32, rate=300, timeout_ms=250)
    time.sleep(seconds / 3)  # lint: sleep the load runs meanwhile, this is its timetable
    died = time.time()
    subject.kill_instance(NAMES[1])
    report = finish(process)
    return max(0.0, (report["last_failure_at"] - died) * 1000) if report["last_failure_at"] else 0.0
