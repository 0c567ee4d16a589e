"""The draft's Figure 2 as configuration: what the demo and the lab's tests run on figure2.yaml.

Everything is plain dictionaries, so that a test changes what it is about and leaves the rest.
"""

import os

from lab.lab import REPOSITORY

TOPOLOGY = os.path.join(REPOSITORY, "tests", "lab", "topologies", "figure2.yaml")
BRIDGE = "br-dyn"
WEB_SID, MEDIA_SID = "10.96.0.1", "10.96.0.2"
WEB_PORT = 8080
MEDIA_PORTS = (8081, 8082)

# instance -> (service, D-BID, edge, agent)
INSTANCES = {
    "i21": ("web", "10.2.21.2", "edge2", "agent2"),
    "i22": ("media", "10.2.22.2", "edge2", "agent2"),
    "i31": ("web", "10.3.31.2", "edge3", "agent3"),
    "i32": ("media", "10.3.32.2", "edge3", "agent3"),
}
# agent -> the node it runs on
AGENTS = {"agent2": "dr2", "agent3": "agent3"}
SERVICES = ("web", "media")
# Where each agent's STAMP reflector is; the ways between them are measured.
AGENT_ADDRESSES = {"agent2": "10.2.20.2", "agent3": "10.3.30.2"}


def ports_of(service):
    return (WEB_PORT,) if service == "web" else MEDIA_PORTS


def targets(service):
    sid = WEB_SID if service == "web" else MEDIA_SID
    return [f"{sid}:{port}" for port in ports_of(service)]


def server(instance):
    """Where dyncast-web runs for an instance, what it binds to, and its further options."""
    service, bid, _, _ = INSTANCES[instance]
    return instance, [f"{bid}:{port}" for port in ports_of(service)], []


def fabric(lab, *, startup_grace="5s", stats_interval="1s"):
    """fabric.yaml"""
    control = lab.management_address("ctl")

    def ovsdb(node):
        return f"tcp:{lab.management_address(node)}:6640"

    def switch(name, ports, gateway):
        return {
            "name": name,
            "role": "d-router",
            "ovsdb": ovsdb(name),
            "bridge": BRIDGE,
            "datapath_type": "netdev",
            "ports": [{"name": n, "role": role, "addresses": [address]} for n, role, address in ports],
            "routes": [{"to": "0.0.0.0/0", "via": gateway}],
        }

    return {
        "controller": {
            "fabric": "figure2",
            "openflow_listen": f"ptcp:6653:{control}",
            "metrics_bind": f"tcp://{control}:5570",
            "api_socket": lab.path("controller.sock"),
            "database": lab.path("dyncast.db"),
            "startup_grace": startup_grace,
            "stats_interval": stats_interval,
        },
        "switches": [
            switch("dr1", [
                ("to-c1a", "access", "192.168.10.1/24"),
                ("to-c1b", "access", "192.168.11.1/24"),
                ("to-inf", "uplink", "172.16.1.2/24"),
            ], "172.16.1.1"),
            switch("dr2", [
                ("to-c2", "access", "192.168.20.1/24"),
                ("to-i21", "edge", "10.2.21.1/24"),
                ("to-i22", "edge", "10.2.22.1/24"),
                # The bridge's LOCAL port: agent 2, on the same host, reaches the instances over it.
                (BRIDGE, "edge", "10.2.20.1/24"),
                ("to-inf", "uplink", "172.16.2.2/24"),
            ], "172.16.2.1") | {"agent": "agent2"},
        ],
        "agents": [{"name": "agent2", "bids": ["10.2.0.0/16"]}, {"name": "agent3", "bids": ["10.3.0.0/16"]}],
        "services": [web(), media()],
    }


def web():
    return {
        "name": "web",
        "sid": WEB_SID,
        "ports": [f"tcp/{WEB_PORT}"],
        "affinity": {"key": "5-tuple", "idle_timeout": "10s", "fin_timeout": "2s", "limit": 20000},
        "selection": {"policy": "least-bindings"},
    }


def media():
    return {
        "name": "media",
        "sid": MEDIA_SID,
        "ports": [f"tcp/{port}" for port in MEDIA_PORTS],
        "affinity": {"key": "3-tuple", "idle_timeout": "60s", "limit": 20000},
        # Several metrics at once: CPU, and sessions with 100 counting as fully loaded.
        "selection": {
            "policy": "least-bindings",
            "load": [
                {"metric": "cpu_utilization", "weight": 1.0},
                {"metric": "sessions", "weight": 0.3, "scale": 100},
            ],
        },
    }


def agent(lab, name, *, health_interval_ms=200, report_interval_ms=500):
    """agent.yaml of agent2 or agent3."""
    instances = []
    for instance, (service, bid, _, owner) in INSTANCES.items():
        if owner != name:
            continue
        port = ports_of(service)[0]
        entry = {
            "name": instance,
            "service": service,
            "bid": bid,
            "port": port,
            "network_namespace": f"/run/netns/dyn-{lab.name}-{instance}",
            # What an edge's host is taken to have here: one busy process is more than enough to fill it.
            "capacity": {"cpu_cores": 0.5},
            "health": {"check": "tcp", "interval": f"{health_interval_ms}ms",
                       "timeout": f"{health_interval_ms * 3 // 4}ms"},
            "scrape": {
                "url": f"http://{bid}:{port}/metrics",
                "metrics": [
                    {"name": "request_rate", "from": "requests_total", "rate": True, "unit": "1/s"},
                    {"name": "utilization", "from": "utilization", "unit": "ratio"},
                ],
            },
        }
        cgroup = lab.cgroup(instance)
        if cgroup:
            entry["cgroup"] = cgroup
        instances.append(entry)
    return {
        "name": name,
        "controllers": [f"tcp://{lab.management_address('ctl')}:5570"],
        "report_interval": f"{report_interval_ms}ms",
        "heartbeat_interval": "200ms",
        "thresholds": [{"metric": "cpu_utilization", "change": 0.2}],
        "instances": instances,
        "reflector": {"listen": [f"{AGENT_ADDRESSES[name]}:862"],
                      "senders": [address for other, address in AGENT_ADDRESSES.items() if other != name]},
        "probes": [{"peer": other, "address": address} for other, address in AGENT_ADDRESSES.items() if other != name],
    }
