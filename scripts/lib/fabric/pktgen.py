"""dyncast-pktgen from client nodes to the D-SID, counted at the farm: mass demands as options, its report as a dictionary."""

import json
import subprocess

from lab import netns
from lab.errors import LabError
from lab.lab import program
from lab.processes import start

from . import dispatch


class Generator:
    def __init__(self, fabric):
        self.fabric = fabric
        self.lab = fabric.lab
        self.mac = self.gateway()
        self.runs = 0

    def gateway(self):
        """The MAC that clients send to."""
        return self.fabric.gateway_mac()

    def client(self, v6):
        """NAMESPACE:INTERFACE that clients send from, and the first client's address."""
        return f"{netns.name_of(self.lab.name, 'cl')}:to-dr", dispatch.CLIENTS6 if v6 else dispatch.CLIENTS4

    def argv(self, mode, instances, *, v6=False, sid=None, proto="udp", port=dispatch.PORT, **options):
        """`options` are dyncast-pktgen's, with underscores; True for flags."""
        place, client = self.client(v6)
        farm = netns.name_of(self.lab.name, "farm")
        argv = [program("dyncast-pktgen"), mode, "--client", place, "--gateway-mac", self.mac,
                "--announce", "0", "--no-neighbours", "--sid", sid or (dispatch.SID6 if v6 else dispatch.SID4),
                "--proto", proto]
        if "first_client" not in options:
            options["first_client"] = client
        if proto != "icmp":
            argv += ["--port", str(port)]
        for name in instances:
            argv += ["--receiver", f"{name}={farm}:to-dr,{dispatch.place(name)[1]}"]
        for key, value in options.items():
            option = "--" + key.replace("_", "-")
            argv += [option] if value is True else [option, str(value)]
        return argv

    def run(self, mode, instances, timeout_s=600, **options):
        """To its end; the report."""
        argv = self.argv(mode, instances, **options)
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            raise LabError(f"{' '.join(argv)}: no end within {timeout_s:g} s") from None
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)}: status {done.returncode}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)

    # The window keeps below what a switch port's socket holds (some 250 small frames), however slow the machine is.
    def new(self, instances, flows, *, window=64, **options):
        """Each flow once, closed loop. Nothing may be lost, so a loss fails here."""
        report = self.run("new", instances, flows=flows, window=window, **({"seconds": 600, "wait": 3} | options))
        assert report["delivered"] == report["sent"] and report["lost"] == 0, f"lost first packets: {short(report)}"
        assert report["sent"] == flows * options.get("packets_per_flow", 1), short(report)
        assert report["bad_checksums"] == 0 and report["elsewhere"] == 0, short(report)
        return report

    def start(self, mode, instances, name="run", **options):
        """In the background; `finish` ends it."""
        self.runs += 1
        name = f"pktgen{self.runs}-{name}"
        report = self.lab.path(f"{name}.report")
        argv = self.argv(mode, instances, json=report, **options)
        process = start(self.lab.name, netns.name_of(self.lab.name, "ctl"), None, name, argv)
        process.wait_output("ready")
        return Running(process, report)


class Running:
    def __init__(self, process, report):
        self.process = process
        self.report = report

    def finish(self, timeout_s=60):
        """Ends the sending early; the report."""
        self.process.signal(15)
        return self.wait(timeout_s)

    def wait(self, timeout_s=600):
        status = self.process.wait(timeout_s)
        if status != 0:
            raise LabError(f"{self.process.name}: status {status}: {self.process.output()[-500:]}")
        with open(self.report, encoding="utf-8") as file:
            return json.load(file)


def short(report):
    """A report without its long parts, for messages."""
    return {key: value for key, value in report.items() if not isinstance(value, (dict, list))}


def flows_at(report):
    return report["flow_instances"]

