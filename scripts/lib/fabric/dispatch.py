"""One D-Router with everything a client or an instance can be behind: tests/lab/topologies/dispatch.yaml as
configuration, for tests of one service's dispatch, affinity and store, in IPv4 and IPv6.

Instances are names: iN and vN are the N-th IPv4 and IPv6 address of `farm`, f1 and g1 those of `far`, which lies
behind a hop with a smaller MTU.
"""

import ipaddress
import os

from lab.lab import REPOSITORY

from .figure2 import BRIDGE  # noqa: F401  (part of a layout)

TOPOLOGY = os.path.join(REPOSITORY, "tests", "lab", "topologies", "dispatch.yaml")
SID4, SID6 = "10.96.0.1", "fd96::1"
GATEWAY4, GATEWAY6 = "10.1.0.1", "fd01::1"
CLIENTS4, CLIENTS6 = "100.64.0.0", "fd64::"  # the first of very many at `cl`
PORT = 8080
FIRST = {"i": ("farm", "10.2.0.11"), "v": ("farm", "fd02::11"), "f": ("far", "10.52.0.2"), "g": ("far", "fd52::2")}

# port -> (role, VLAN id, the gateway's addresses, further sources)
PORTS = (
    ("to-cl", "access", 0, ["10.1.0.1/24", "fd01::1/64"], ["100.64.0.0/10", "fd64::/32"]),
    ("to-tag", "access", 30, ["10.3.0.1/24", "fd03::1/64"], []),
    ("to-tag", "access", 0, ["10.9.0.1/24"], []),
    ("to-cr2", "access", 0, ["10.4.0.1/24", "fd04::1/64"], ["10.41.0.0/24", "10.42.0.0/24", "fd41::/64", "fd42::/64"]),
    ("to-farm", "edge", 0, ["10.2.0.1/24", "fd02::1/64"], []),
    ("to-hop1", "edge", 0, ["10.5.0.1/24", "fd05::1/64"], []),
)
ROUTES = (
    ("100.64.0.0/10", "10.1.0.2"), ("fd64::/32", "fd01::2"),
    ("10.41.0.0/24", "10.4.0.2"), ("10.42.0.0/24", "10.4.0.2"), ("fd41::/64", "fd04::2"), ("fd42::/64", "fd04::2"),
    ("10.51.0.0/24", "10.5.0.2"), ("10.52.0.0/24", "10.5.0.2"), ("fd51::/64", "fd05::2"), ("fd52::/64", "fd05::2"),
)
BIDS = ("10.2.0.0/24", "10.52.0.0/24", "fd02::/64", "fd52::/64")


def place(instance):
    """The node that an instance is on, and its D-BID."""
    node, first = FIRST[instance[0]]
    return node, str(ipaddress.ip_address(first) + int(instance[1:]) - 1)


def target(address, port=PORT):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def network_of(address):
    return str(ipaddress.ip_interface(address).network)


def service(name="web", *, sid=(SID4, SID6), ports=(f"tcp/{PORT}",), dispatch="learn", key="5-tuple", store="auto",
            idle="60s", fin=None, limit=20000, policy="static", slow_start=None):
    """One service of fabric.yaml. Shares are those of the instances' capacities unless `policy` says otherwise."""
    affinity = {"key": key, "idle_timeout": idle, "limit": limit}
    if store != "auto":
        affinity["store"] = store
    if fin is not None:
        affinity["fin_timeout"] = fin
    selection = {"policy": policy}
    if slow_start:
        selection["slow_start"] = slow_start
    return {"name": name, "sid": list(sid), "ports": list(ports), "dispatch": dispatch, "affinity": affinity,
            "selection": selection}


def fabric(lab, services, *, startup_grace="5s", stats_interval="1s"):
    """fabric.yaml"""
    control = lab.management_address("ctl")
    ports = []
    for name, role, vlan, addresses, more in PORTS:
        port = {"name": name, "role": role, "addresses": addresses}
        if vlan:
            port["vlan"] = vlan
        if more:
            port["sources"] = [network_of(a) for a in addresses] + more
        ports.append(port)
    return {
        "controller": {
            "fabric": "dispatch",
            "openflow_listen": f"ptcp:6653:{control}",
            "metrics_bind": f"tcp://{control}:5570",
            "api_socket": lab.path("controller.sock"),
            "database": lab.path("dyncast.db"),
            "startup_grace": startup_grace,
            "stats_interval": stats_interval,
        },
        "switches": [{
            "name": "dr",
            "role": "d-router",
            "ovsdb": f"tcp:{lab.management_address('dr')}:6640",
            "bridge": BRIDGE,
            "datapath_type": "netdev",
            "ports": ports,
            "routes": [{"to": to, "via": via} for to, via in ROUTES],
        }],
        "agents": [{"name": "edge", "bids": list(BIDS)}],
        "services": services,
    }


def agent(lab, instances, *, health_interval_ms=200):
    """agent.yaml of the real agent on `farm`, for instances that run dyncast-web: it checks them by TCP."""
    entries = []
    for name, (service_name, capacity) in instances.items():
        node, bid = place(name)
        entries.append({
            "name": name,
            "service": service_name,
            "bid": bid,
            "port": PORT,
            "network_namespace": f"/run/netns/dyn-{lab.name}-{node}",
            "check_inside": True,
            "capacity": {"requests_per_s": capacity},
            "health": {"check": "tcp", "interval": f"{health_interval_ms}ms",
                       "timeout": f"{health_interval_ms * 3 // 4}ms"},
        })
    return {
        "name": "edge",
        "controllers": [f"tcp://{lab.management_address('ctl')}:5570"],
        "report_interval": "500ms",
        "heartbeat_interval": "200ms",
        "instances": entries,
    }


class Layout:
    """What `running.Fabric` asks of a layout: `instances` maps a name to (service, capacity)."""

    BRIDGE = BRIDGE

    def __init__(self, instances, *, servers=True, bind_ports=(PORT,), options=()):
        self.INSTANCES = instances if servers else {}
        self.AGENTS = {"edge": "farm"}
        self.bind_ports = bind_ports
        self.options = list(options)

    def server(self, instance):
        node, bid = place(instance)
        return node, [target(bid, port) for port in self.bind_ports], ["--workers", "1", *self.options]
