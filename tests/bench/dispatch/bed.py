"""Where the subjects of the dispatch bench run: one client, one switch (or router) between, four instances.

    cl --- dr --- i1 .. i4        ctl: controllers, on the management network with dr and the instances

Hosts have no default route: what their kernels would answer to the generator's packets goes nowhere.
"""

import ipaddress
import json
import os
import subprocess
import tempfile

from lab import netns, topology
from lab.errors import LabError
from lab.lab import Lab, program
from lab.waiting import wait_until

COUNT = 4
SID = "10.96.0.1"
PORT = 9000
GATEWAY = "10.128.0.1"
FIRST_CLIENT = "10.128.1.0"
CLIENTS_NETWORK = "10.128.0.0/9"
SOURCE_PORTS = 50000
GATEWAY_MAC = "02:00:00:00:0a:01"
NAMES = [f"i{n}" for n in range(1, COUNT + 1)]


def bid(n):
    return f"10.2.{n}.2"


def document(middle):
    """The topology as YAML; `middle`: switch or router."""
    nodes = ["  ctl: {kind: controller, management_address: 10.255.0.1}", "  cl: {kind: client}",
             f"  dr: {{kind: {middle}, management: true}}"]
    nodes += [f"  {name}: {{kind: host, management: true}}" for name in NAMES]
    gateway = "" if middle == "switch" else f", addresses: [{GATEWAY}/9]"
    links = [f"  - ends: [{{node: cl}}, {{node: dr{gateway}}}]"]
    for n, name in enumerate(NAMES, 1):
        gateway = "" if middle == "switch" else f", addresses: [10.2.{n}.1/24]"
        links.append(f"  - ends: [{{node: {name}, addresses: [{bid(n)}/24]}}, {{node: dr{gateway}}}]")
    return "\n".join(["name: dispatch", "nodes:", *nodes, "links:", *links]) + "\n"


def cpu_seconds(pids):
    """User and system time of processes so far; those that are gone count nothing."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


class Bed:
    def __init__(self, middle, name):
        self.lab = Lab.up(topology.parse(document(middle), "dispatch"), name)
        self.next_flow = 0

    def down(self):
        self.lab.down()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    @property
    def switch(self):
        return self.lab.switches["dr"]

    def mac(self, node, interface="to-dr"):
        return json.loads(self.lab.run(node, "ip", "-j", "link", "show", "dev", interface))[0]["address"]

    def namespace(self, node):
        return netns.name_of(self.lab.name, node)

    def bridge(self, name="br0", *settings):
        """A bridge of the userspace datapath with all ports; OpenFlow port 1 is cl, 1+n is instance n."""
        command = ["add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure",
                   "protocols=OpenFlow10,OpenFlow13,OpenFlow15", *settings]
        for number, node in enumerate(["cl", *NAMES], 1):
            command += ["--", "add-port", name, f"to-{node}", "--", "set", "interface", f"to-{node}",
                        f"ofport_request={number}"]
        self.switch.vsctl(*command)

    def add_flows(self, text, bridge="br0"):
        with tempfile.NamedTemporaryFile("w", suffix=".flows") as file:
            file.write(text)
            file.flush()
            self.switch.ofctl("--bundle", "add-flows", bridge, file.name)

    def take_flows(self, count):
        first, self.next_flow = self.next_flow, self.next_flow + count
        return first

    def launch(self, mode, *, flows, first=None, sid=SID, gateway_mac=None, rate=0.0, window=0, seconds=60.0,
               answer=False, padding=0, wait=1.0, background=0, proto="udp"):
        """Starts dyncast-pktgen. Without `first` new flows are taken. `background`: new flows per second beside."""
        first = self.take_flows(flows) if first is None else first
        most = first + flows
        argv = [program("dyncast-pktgen"), mode, "--client", f"{self.namespace('cl')}:to-dr", "--sid", sid,
                "--port", str(PORT), "--proto", proto, "--first-client", FIRST_CLIENT, "--source-port", "2000",
                "--source-ports", str(SOURCE_PORTS), "--first-flow", str(first), "--flows", str(flows),
                "--rate", str(rate), "--window", str(window), "--seconds", str(seconds), "--wait", str(wait),
                "--padding", str(padding)]
        for n, name in enumerate(NAMES, 1):
            argv += ["--receiver", f"{name}={self.namespace(name)}:to-dr,{bid(n)}"]
        if background:
            count = int(background * seconds) + 1
            new_first = self.take_flows(count)
            most = max(most, new_first + count)
            argv += ["--new-rate", str(background), "--new-first-flow", str(new_first)]
        clients = most // SOURCE_PORTS + 1
        argv += ["--clients", str(clients), "--announce", str(clients)]
        argv += ["--gateway-mac", gateway_mac] if gateway_mac else ["--gateway", GATEWAY]
        if answer:
            argv.append("--answer")
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.deadline_s = seconds + wait + 30
        return process

    @staticmethod
    def finish(process):
        """The report of a dyncast-pktgen that was launched."""
        try:
            out, err = process.communicate(timeout=process.deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise LabError(f"dyncast-pktgen: no end within {process.deadline_s:g} s") from None
        if process.returncode != 0:
            raise LabError(f"dyncast-pktgen: {err.strip()[-500:]}")
        return json.loads(out)


def clients_of(flows):
    return [str(ipaddress.ip_address(FIRST_CLIENT) + i) for i in range(flows // SOURCE_PORTS + 1)]


def wait_listening(bed, node, port, process, timeout_s=20):
    """Until a process listens on a TCP port in a node."""
    wanted = f":{port:04X} 00000000:0000 0A"

    def listening():
        if not process.running():
            raise LabError(f"{process.name} ended:\n{process.output()[-1500:]}")
        return wanted in bed.lab.run(node, "cat", "/proc/net/tcp")

    wait_until(listening, timeout_s, f"a listener on {node} port {port}")
