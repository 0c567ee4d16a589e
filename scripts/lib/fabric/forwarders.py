"""Many D-Forwarders on one D-Router: forwarders.yaml as configuration, for tests of what many clients and services do.

Instances are names as in `dispatch`: iN and vN are the N-th IPv4 and IPv6 address of `farm`, behind the D-Router `dr`; f1,
f2, g1 and g2 those of `far`, behind a hop with a smaller MTU there.
D-Forwarder fN has the clients of node cN; `dr` has those of node `own`.
"""

import ipaddress
import os

from lab import netns, topology
from lab.lab import REPOSITORY
from lab.waiting import wait_until

from . import dispatch, pktgen
from .dispatch import BRIDGE
from .edge import EdgeFabric

TOPOLOGY = os.path.join(REPOSITORY, "tests", "lab", "topologies", "forwarders.yaml")
COUNT = 8
NAMES = tuple(f"f{n}" for n in range(1, COUNT + 1))
OWN = 9  # numbers what belongs to the D-Router


def topology_of(count):
    """forwarders.yaml with only the first `count` D-Forwarders, and what belongs to them."""
    whole = topology.load(TOPOLOGY)
    gone = {f"{kind}{n}" for kind in "cf" for n in range(count + 1, COUNT + 1)}
    left = [link for link in whole.links if not gone & {end.node for end in link.ends}]
    hops = {end.interface for end in whole.interfaces("core")} - {f"to-{name}" for name in gone}
    networks = [ipaddress.ip_interface(address).network for end in whole.interfaces("core") if end.interface in hops
                for address in end.everything()]
    nodes = {name: node for name, node in whole.nodes.items() if name not in gone}
    nodes["core"].routes = [route for route in nodes["core"].routes
                            if any(ipaddress.ip_address(route.via) in network for network in networks)]
    return topology.Topology(whole.name, whole.management_network, nodes, left, whole.ipv6)


def clients(number):
    """The first of very many clients at cN, IPv4 and IPv6; of `own` for OWN."""
    return f"100.{64 + number % OWN}.0.0", f"fd64:{number}::"


def endpoint(number):
    return f"10.4.{number}.2"


def bare_switch(lab, name, number, role, ports=(), routes=(), mtu=1500):
    """A switch without clients: its endpoint behind LOCAL, its uplink, and `ports`."""
    plain = [(BRIDGE, "edge", f"10.4.{number}.1/30"),
             ("to-core", "uplink", f"172.16.{number}.2/24", f"fd00:a{number}::2/64"), *ports]
    defaults = [("0.0.0.0/0", f"172.16.{number}.1"), ("::/0", f"fd00:a{number}::1")]
    return {
        "name": name,
        "role": role,
        "ovsdb": f"tcp:{lab.management_address(name)}:6640",
        "bridge": BRIDGE,
        "datapath_type": "netdev",
        "ports": [{"name": n, "role": port_role, "addresses": addresses} for n, port_role, *addresses in plain],
        "routes": [{"to": to, "via": via} for to, via in [*defaults, *routes]],
        "tunnel": {"address": endpoint(number), "mtu": mtu},
    }


def switch(lab, name, number, role, ports=(), routes=(), mtu=1500):
    access = {"name": "to-own" if number == OWN else f"to-c{number}", "role": "access",
              "addresses": [f"192.168.{number}.1/24", f"fd00:c{number}::1/64"]}
    first4, first6 = clients(number)
    access["sources"] = [dispatch.network_of(a) for a in access["addresses"]] + [f"{first4}/16", f"{first6}/32"]
    own_clients = [(f"{first4}/16", f"192.168.{number}.2"), (f"{first6}/32", f"fd00:c{number}::2")]
    whole = bare_switch(lab, name, number, role, ports, [*own_clients, *routes], mtu)
    return {**whole, "ports": [access, *whole["ports"]]}


def fabric(lab, services, *, mtu=1500, **options):
    """fabric.yaml, of the D-Forwarders that the lab has"""
    asking = [{**switch(lab, name, n, "d-forwarder", mtu=mtu), "d_routers": ["dr"]}
              for n, name in enumerate(NAMES, 1) if name in lab.topology.nodes]
    behind = [("to-farm", "edge", "10.2.0.1/24", "fd02::1/64"), ("to-hop1", "edge", "10.5.0.1/24", "fd05::1/64")]
    far = [("10.51.0.0/24", "10.5.0.2"), ("10.52.0.0/24", "10.5.0.2"), ("fd51::/64", "fd05::2"), ("fd52::/64", "fd05::2")]
    return document(lab, [*asking, switch(lab, "dr", OWN, "d-router", behind, far, mtu)], services, **options)


def document(lab, switches, services, *, startup_grace="5s", stats_interval="1s"):
    """fabric.yaml of these switches"""
    control = lab.management_address("ctl")
    return {
        "controller": {
            "fabric": lab.topology.name,
            "openflow_listen": f"ptcp:6653:{control}",
            "metrics_bind": f"tcp://{control}:5570",
            "api_socket": lab.path("controller.sock"),
            "database": lab.path("dyncast.db"),
            "startup_grace": startup_grace,
            "stats_interval": stats_interval,
        },
        "switches": switches,
        "agents": [{"name": "edge", "bids": list(dispatch.BIDS)}],
        "services": services,
    }


def wait_tunnels(running, timeout_s=60):
    """Until each switch's host has its endpoint, the pipeline knows where that is, and Open vSwitch the next hop of what it
    tunnels."""
    running.lab.wait_local_ports()
    switches = running.fabric["switches"]
    used = {name for sw in switches for name in (sw["name"], *sw.get("d_routers", ())) if "d_routers" in sw}

    def cold():
        missing = []
        for wanted in switches:
            if wanted["name"] not in used:
                continue
            switch = running.lab.switches[wanted["name"]]
            address = wanted["tunnel"]["address"]
            register = f"reg5=0x{int(ipaddress.ip_address(address)):x} "
            if register not in switch.ofctl("--no-stats", "dump-flows", BRIDGE, "table=70"):
                missing.append(f"{wanted['name']}: neighbour {address}")
            known = switch.appctl("tnl/neigh/show")
            missing += [f"{wanted['name']}: {route.via}" for route in switch.node.local_routes
                        if route.to == "default" and route.via not in known]
        return missing

    wait_until(lambda: not cold(), timeout_s, lambda: f"every tunnel's next hop; missing: {cold()}", poll_s=0.1)


class ForwarderFabric(EdgeFabric):
    """EdgeFabric on forwarders.yaml: its `switch` is the D-Router, which selects."""

    DOCUMENT = staticmethod(fabric)

    def start(self, timeout_s=60):
        super().start(timeout_s)
        wait_tunnels(self)

    def mute_farm(self):
        self.drop_from("farm", "100.64.0.0/10", "fd64::/16")

    def gateway_of(self, number):
        """The MAC that clients of fN (or of `dr` for OWN) send to."""
        node = "own" if number == OWN else f"c{number}"
        where = "dr" if number == OWN else f"f{number}"
        return self.gateway_mac(node, f"192.168.{number}.1", f"to-{where}")

    def forwarder(self, number):
        return self.lab.switches[f"f{number}"]


class Generator(pktgen.Generator):
    """dyncast-pktgen from the clients of one D-Forwarder (or of the D-Router's own, for OWN)."""

    def __init__(self, running, number):
        self.number = number
        super().__init__(running)

    def gateway(self):
        return self.fabric.gateway_of(self.number)

    def client(self, v6):
        node, where = ("own", "dr") if self.number == OWN else (f"c{self.number}", f"f{self.number}")
        return f"{netns.name_of(self.lab.name, node)}:to-{where}", clients(self.number)[v6]
