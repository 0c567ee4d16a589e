"""A dispatch fabric running: one D-Router, a service or several, instances that are what the test says."""

import json
import os
import time

from lab.lab import REPOSITORY
from lab.waiting import wait_until

from . import dispatch, flows
from .running import Fabric

SCHEMA_FOLDER = os.path.join(REPOSITORY, "schema", "wire")
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire_agent.py")
HEALTH_UP, HEALTH_DOWN = 1, 2


def drop_from(lab, node, *networks):
    """The node's kernel takes no packet from these sources; who reads its interface sees them all the same."""
    for family in ("-4", "-6"):
        # Before the rule for the node's own addresses, which comes first unless it is put behind.
        if "lookup local" in lab.run(node, "ip", family, "rule", "show", "pref", "0"):
            lab.run(node, "ip", family, "rule", "add", "pref", "10", "lookup", "local")
            lab.run(node, "ip", family, "rule", "delete", "pref", "0")
    for network in networks:
        lab.run(node, "ip", "-6" if ":" in network else "-4", "rule", "add", "pref", "5", "from", network, "blackhole")


class WireAgent:
    """Says over the wire what `instances` holds: {name: {"service", "bid", "capacity", "load", "health"}}."""

    def __init__(self, lab, endpoint, name="edge", node="farm"):
        self.lab = lab
        self.endpoint = endpoint
        self.name = name
        self.node = node
        self.instances = {}
        self.number = 0
        self.process = None
        self.state_file = lab.path(f"{name}.json")

    def add(self, name, service, capacity=1, load=0.0):
        self.instances[name] = {"service": service, "bid": dispatch.place(name)[1], "capacity": capacity,
                                "load": load, "health": HEALTH_UP}

    def start(self):
        self._write(None)
        self.process = self.lab.start(self.node, f"wire-{self.name}", [
            "/usr/bin/python3", "-B", PROGRAM, SCHEMA_FOLDER, self.endpoint, self.state_file], append=True)
        return self.process

    def tell(self, change=None, timeout_s=10):
        """Publishes what `instances` says now, and waits until it is out."""
        self._write(change)
        wait_until(lambda: f"state {self.number}\n" in self.process.output(), timeout_s,
                   f"state {self.number} to be published")

    def change(self, times, every_ms, what="load", seed=1):
        """Gives every instance a random figure, `times` times."""
        self.tell({"every_ms": every_ms, "times": times, "seed": seed, "what": what})

    def changed(self):
        lines = [line for line in self.process.output().splitlines() if line.startswith(("changed", "state"))]
        last = max((i for i, line in enumerate(lines) if line == f"state {self.number}"), default=0)
        counts = [int(line.split()[1]) for line in lines[last:] if line.startswith("changed")]
        return counts[-1] if counts else 0

    def _write(self, change):
        self.number += 1
        state = {"agent": self.name, "number": self.number, "instances": self.instances}
        if change:
            state["change"] = change
        with open(self.state_file + ".new", "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.rename(self.state_file + ".new", self.state_file)


class EdgeFabric(Fabric):
    """`instances`: {name: service} or {name: (service, capacity)}."""

    DOCUMENT = staticmethod(dispatch.fabric)

    def __init__(self, lab, services, instances, *, servers=(), server_ports=(dispatch.PORT,), server_options=(),
                 real_agent=False, change=None):
        document = self.DOCUMENT(lab, services)
        if change:
            change(document)
        self.wanted = {name: what if isinstance(what, tuple) else (what, 1) for name, what in instances.items()}
        layout = dispatch.Layout({name: self.wanted.get(name) for name in servers}, bind_ports=server_ports,
                                 options=server_options)
        agents = {"edge": dispatch.agent(lab, self.wanted)} if real_agent else {}
        super().__init__(lab, fabric=document, agents=agents, layout=layout)
        self.wire = None if real_agent else WireAgent(lab, document["controller"]["metrics_bind"])

    def start(self, timeout_s=60):
        for instance in self.layout.INSTANCES:
            self.start_server(instance)
        self.start_controller()
        self.wait_ready(timeout_s, instances=0)
        if self.wire:
            for name, (service, capacity) in self.wanted.items():
                self.wire.add(name, service, capacity)
            self.agent_processes["edge"] = self.wire.start()
        else:
            self.start_agent("edge")
        self.wait_ready(timeout_s, instances=len(self.wanted))
        for service in self.fabric["services"]:
            if service["dispatch"] == "learn":
                self.wait_slots(service["name"])

    @property
    def switch(self):
        return self.lab.switches["dr"]

    # ---- In-switch dispatch ---------------------------------------------------------------------

    def service_id(self, name):
        return self.row("services", name)["id"]

    def slots(self, service):
        """{instance: slots} of the service's groups, as the switch has them; both families together."""
        names = self.instance_ids()
        number = self.service_id(service)
        counts = {}
        for group, buckets in flows.groups(self.switch).items():
            if group & 0xFFFF == number:
                for instance in buckets:
                    name = names.get(instance, f"?{instance}")
                    counts[name] = counts.get(name, 0) + 1
        return counts

    def wait_slots(self, service, instances=None, timeout_s=20):
        """Until the switch's groups name exactly these instances (default: all that the agent announces)."""
        if instances is None:
            instances = {name for name, (of, _) in self.wanted.items() if of == service}
        wait_until(lambda: set(self.slots(service)) == set(instances), timeout_s,
                   lambda: f"slots of {sorted(instances)}; there are {self.slots(service)}", poll_s=0.05)

    def churn(self, names, times, every_ms, until=None):
        """Changes the shares `times` times: one instance after the other is drained, and undrained, which changes
        the slots at once and must move no flow. Ends earlier when `until()` holds. How often it did so."""
        began = time.monotonic()
        done = 0
        while done < times and not (until and until()):
            name = names[done // 2 % len(names)]
            self.ctl("drain" if done % 2 == 0 else "undrain", name)
            done += 1
            due = began + done * every_ms / 1000
            wait_until(lambda at=due: time.monotonic() >= at, every_ms / 1000 + 1, "", poll_s=0.005)
        if done % 2:
            self.ctl("undrain", names[(done - 1) // 2 % len(names)])
        return done

    def switch_counters(self):
        return self.counters()["dr"]

    def mute_farm(self):
        """The farm's kernel answers nothing to the clients by the hundred thousand: they are only counted."""
        self.drop_from("farm", "100.64.0.0/10", "fd64::/32")

    def drop_from(self, node, *networks):
        drop_from(self.lab, node, *networks)

    def gateway_mac(self, node="cl", gateway=dispatch.GATEWAY4, interface="to-dr"):
        def known():
            self.lab.run(node, "ping", "-c", "1", "-W", "1", "-n", gateway, check=False)
            words = self.lab.run(node, "ip", "neigh", "show", gateway, "dev", interface).split()
            return words[words.index("lladdr") + 1] if "lladdr" in words else None

        return wait_until(known, 10, f"{gateway}'s MAC at {node}")
