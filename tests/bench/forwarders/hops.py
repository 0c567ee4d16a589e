"""Where the forwarders bench runs: forwarders.yaml with one D-Forwarder, its switches as the product or as plain routers.

    c1 --- f1 --- core (a kernel's router) --- dr --- farm: i1 .. i4
"""

import json
import os
import types

from fabric import forwarders, pktgen
from fabric.dispatch import place, service
from fabric.edge import drop_from
from fabric.figure2 import BRIDGE
from fabric.forwarders import OWN, ForwarderFabric
from lab.lab import Lab
from lab.waiting import wait_until

NAMES = ["i1", "i2", "i3", "i4"]
PORT = 9000
SOURCE_PORTS = 50000
CLIENTS = "100.64.0.0/10"
IDLE_FLOWS = 500  # fewer datapath flows than these: no mass of demands is among them
MAC_F1, MAC_DR = "02:00:00:00:0a:01", "02:00:00:00:0a:02"


class Hops:
    """A lab of these hops, and demands through them: what the measurements of the dispatch bench ask of a subject."""

    sid = None  # of the service

    def __init__(self, lab_name):
        self.lab = Lab.up(forwarders.topology_of(1), lab_name)
        self.bed = self  # it numbers the flows
        self.next_flow = 0
        try:
            self.start()
        except BaseException:
            self.lab.down()
            raise

    def start(self):
        raise NotImplementedError

    def stop(self):
        self.lab.down()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def forget(self):
        """Drops what is held per flow. False: it can't; a new one must be made."""
        return False

    def take_flows(self, count):
        first, self.next_flow = self.next_flow, self.next_flow + count
        return first

    def processes(self):
        """{who: PID} of those that demands cost CPU time."""
        return {"d_forwarder": self.lab.switches["f1"].pid("ovs-vswitchd"),
                "d_router": self.lab.switches["dr"].pid("ovs-vswitchd")}

    def pids(self):
        return list(self.processes().values())

    def memory_pid(self):
        return self.processes()["d_forwarder"]

    def generate(self, mode, *, flows, first=None, wait=1.0, **options):
        """Runs dyncast-pktgen at c1; its report. Without `first` new flows are taken."""
        first = self.take_flows(flows) if first is None else first
        options = {key: value for key, value in options.items() if value}
        return self.generator.run(mode, NAMES, sid=self.sid, port=PORT, flows=flows, first_flow=first, wait=wait,
                                  clients=(first + flows) // SOURCE_PORTS + 1, source_port=2000,
                                  source_ports=SOURCE_PORTS, **options)


class PlainGenerator(forwarders.Generator):
    def gateway(self):
        return MAC_F1


class Plain(Hops):
    """Both switches as routers with a static flow each: the limit."""

    name = "plain"
    sid = place(NAMES[0])[1]

    def start(self):
        self.generator = PlainGenerator(types.SimpleNamespace(lab=self.lab), 1)
        drop_from(self.lab, "farm", CLIENTS)
        self.route("f1", MAC_F1, "to-c1", "to-core", self.mac("core", "to-f1"))
        self.route("dr", MAC_DR, "to-core", "to-farm", self.mac("farm", "to-dr"))
        self.lab.run("core", "ip", "neigh", "replace", f"172.16.{OWN}.2", "lladdr", MAC_DR, "dev", "to-dr", "nud",
                     "permanent")

    def mac(self, node, interface):
        return json.loads(self.lab.run(node, "ip", "-j", "link", "show", "dev", interface))[0]["address"]

    def route(self, name, own_mac, come, go, next_mac):
        switch = self.lab.switches[name]
        command = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure"]
        for number, port in enumerate((come, go), 1):
            command += ["--", "add-port", "br0", port, "--", "set", "interface", port, f"ofport_request={number}"]
        switch.vsctl(*command)
        switch.ofctl("add-flow", "br0", f"in_port=1,ip,nw_dst=10.2.0.0/24,actions=dec_ttl,set_field:{own_mac}->eth_src,"
                     f"set_field:{next_mac}->eth_dst,output:2")

    def forget(self):
        return True


class Forwarded(Hops):
    """The product: f1 a D-Forwarder, dr its D-Router, a controller."""

    name = "learn"
    sid = "10.96.0.1"
    limit = 2_000_000

    def start(self):
        wanted = service(sid=(self.sid,), ports=(f"udp/{PORT}",), dispatch=self.name, idle="3600s", store="generations",
                         limit=self.limit, slow_start="0s")
        self.fabric = ForwarderFabric(self.lab, [wanted], {name: "web" for name in NAMES}, change=as_delivered)
        self.fabric.start()
        self.fabric.mute_farm()
        self.generator = forwarders.Generator(self.fabric, 1)

    def processes(self):
        return {**super().processes(), "controller": self.fabric.controller.pid}

    def known(self):
        """How many of the D-Forwarder's bindings the controller knows."""
        return self.fabric.row("switches", "f1")["bindings"]

    def d_router_flows(self):
        """How many flows the D-Router holds."""
        text = self.lab.switches["dr"].ofctl("dump-aggregate", BRIDGE)
        return int(text.split("flow_count=")[1].split()[0])


    def wait_idle(self):
        """Until both datapaths have forgotten their flows (10 s after the last packet)."""
        for name in ("f1", "dr"):
            def few(switch=self.lab.switches[name]):
                line = next(line for line in switch.appctl("upcall/show").splitlines() if "current" in line)
                return int(line.split("current ")[1].split(")")[0]) < IDLE_FLOWS

            wait_until(few, 60, f"the end of {name}'s datapath flows", poll_s=0.5)


class Reactive(Forwarded):
    name = "reactive"


def as_delivered(document):
    """The controller's own intervals, and no limit to what it is asked."""
    del document["controller"]["stats_interval"]
    for switch in document["switches"]:
        switch["punts"] = {"demands_per_s": 0, "fragments_per_s": 0, "others_per_s": 200}


def lab_name(number):
    return f"forw{os.getpid()}-{number}"
