"""The draft's Figure 4 as configuration: a D-Forwarder before D-Router 1, on figure4.yaml.

The services are Figure 2's with an IPv6 D-SID each, and every edge has an instance of each in both families: iNM has the
IPv4 D-BID of node iNM, vNM its IPv6 one. Everything is plain dictionaries, so that a test changes what it is about.
"""

import os

from lab.lab import REPOSITORY

from . import figure2
from .figure2 import AGENTS, BRIDGE, SERVICES, ports_of  # noqa: F401  (part of a layout)

TOPOLOGY = os.path.join(REPOSITORY, "tests", "lab", "topologies", "figure4.yaml")
SIDS = {"web": (figure2.WEB_SID, "fd96::1"), "media": (figure2.MEDIA_SID, "fd96::2")}
FORWARDER, D_ROUTERS = "df1", ("dr1", "dr2")
ENDPOINTS = {"df1": "10.4.1.2", "dr1": "10.4.2.2", "dr2": "10.2.20.2"}
AGENT_ADDRESSES6 = {"agent2": "fd00:2:20::2", "agent3": "fd00:3:30::2"}
GATEWAY4, GATEWAY6 = "192.168.10.1", "fd00:10::1"  # of c1a

# instance -> (service, D-BID, edge, agent)
INSTANCES = dict(figure2.INSTANCES)
INSTANCES |= {f"v{name[1:]}": (service, f"fd00:{name[1]}:{name[1:]}::2", edge, agent)
              for name, (service, _, edge, agent) in figure2.INSTANCES.items()}


def node_of(instance):
    return f"i{instance[1:]}"


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def targets(service, v6=False):
    return [f"{bracketed(SIDS[service][v6])}:{port}" for port in ports_of(service)]


def server(instance):
    """Where dyncast-web runs for an instance, what it binds to, and its further options."""
    service, bid, _, _ = INSTANCES[instance]
    return node_of(instance), [f"{bracketed(bid)}:{port}" for port in ports_of(service)], ["--udp"]


def switch(lab, name, role, ports, routes, mtu=1500):
    return {
        "name": name,
        "role": role,
        "ovsdb": f"tcp:{lab.management_address(name)}:6640",
        "bridge": BRIDGE,
        "datapath_type": "netdev",
        "ports": [{"name": n, "role": port_role, "addresses": addresses} for n, port_role, *addresses in ports],
        "routes": [{"to": to, "via": via} for to, via in routes],
        "tunnel": {"address": ENDPOINTS[name], "mtu": mtu},
    }


def fabric(lab, *, startup_grace="5s", stats_interval="1s", d_routers=D_ROUTERS):
    """fabric.yaml"""
    control = lab.management_address("ctl")
    df1 = switch(lab, "df1", "d-forwarder", [
        ("to-c1a", "access", "192.168.10.1/24", "fd00:10::1/64"),
        ("to-c1b", "access", "192.168.11.1/24", "fd00:11::1/64"),
        # The bridge's LOCAL port: behind it is the end of the tunnel.
        (BRIDGE, "edge", "10.4.1.1/30"),
        ("to-hop", "uplink", "172.16.4.2/24", "fd00:a4::2/64"),
    ], [("0.0.0.0/0", "172.16.4.1"), ("::/0", "fd00:a4::1")])
    df1["d_routers"] = list(d_routers)
    behind_hop = [(network, "172.16.5.1") for network in ("10.4.1.0/30", "192.168.10.0/24", "192.168.11.0/24",
                                                         "172.16.4.0/24")]
    behind_hop += [(network, "fd00:a5::1") for network in ("fd00:10::/64", "fd00:11::/64", "fd00:a4::/64")]
    return {
        "controller": {
            "fabric": "figure4",
            "openflow_listen": f"ptcp:6653:{control}",
            "metrics_bind": f"tcp://{control}:5570",
            "api_socket": lab.path("controller.sock"),
            "database": lab.path("dyncast.db"),
            "startup_grace": startup_grace,
            "stats_interval": stats_interval,
        },
        "switches": [
            df1,
            switch(lab, "dr1", "d-router", [
                ("to-hop", "uplink", "172.16.5.2/24", "fd00:a5::2/64"),
                (BRIDGE, "edge", "10.4.2.1/30"),
                ("to-inf", "uplink", "172.16.1.2/24", "fd00:a1::2/64"),
            ], [("0.0.0.0/0", "172.16.1.1"), ("::/0", "fd00:a1::1"), *behind_hop]),
            switch(lab, "dr2", "d-router", [
                ("to-c2", "access", "192.168.20.1/24", "fd00:20::1/64"),
                ("to-i21", "edge", "10.2.21.1/24", "fd00:2:21::1/64"),
                ("to-i22", "edge", "10.2.22.1/24", "fd00:2:22::1/64"),
                # Agent 2, on the same host, reaches the instances over it too.
                (BRIDGE, "edge", "10.2.20.1/24", "fd00:2:20::1/64"),
                ("to-inf", "uplink", "172.16.2.2/24", "fd00:a2::2/64"),
            ], [("0.0.0.0/0", "172.16.2.1"), ("::/0", "fd00:a2::1")]) | {"agent": "agent2"},
        ],
        "agents": [{"name": f"agent{n}", "bids": [f"10.{n}.0.0/16", f"fd00:{n}::/32"]} for n in (2, 3)],
        "services": [both_families(figure2.web()), both_families(figure2.media())],
    }


def both_families(service):
    protocols = [f"udp/{port}" for port in ports_of(service["name"])]
    return {**service, "sid": list(SIDS[service["name"]]), "ports": service["ports"] + protocols}


def agent(lab, name, *, health_interval_ms=200, report_interval_ms=500):
    """agent.yaml of agent2 or agent3: Figure 2's, and the same instances with their IPv6 D-BIDs."""
    document = figure2.agent(lab, name, health_interval_ms=health_interval_ms, report_interval_ms=report_interval_ms)
    for entry in list(document["instances"]):
        other = f"v{entry['name'][1:]}"
        entry6 = {**entry, "name": other, "bid": INSTANCES[other][1]}
        del entry6["scrape"]  # by IPv4 only
        document["instances"].append(entry6)
    other = next(peer for peer in AGENTS if peer != name)
    document["reflector"]["listen"].append(f"[{AGENT_ADDRESSES6[name]}]:862")
    document["reflector"]["senders"].append(AGENT_ADDRESSES6[other])
    document["probes"].append({"peer": other, "address": AGENT_ADDRESSES6[other]})
    return document
