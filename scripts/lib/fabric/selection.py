"""Two D-Routers and four edges of unequal capacity and distance: tests/lab/topologies/selection.yaml as
configuration, with the policy and the dispatch as parameters. What is compared runs on the same fabric.
"""

import os

from lab.lab import REPOSITORY

from .figure2 import BRIDGE  # noqa: F401  (part of a layout)

TOPOLOGY = os.path.join(REPOSITORY, "tests", "lab", "topologies", "selection.yaml")
SID = "10.96.0.1"
PORT = 8080
SERVICE = "web"
# Instance, edge's node and agent have one name. Places of the server: at 40 ms a request, 25 requests/s each.
PLACES = {"e1": 8, "e2": 4, "e3": 6, "e4": 2}
INSTANCES = {name: (SERVICE, f"10.{n}.0.2") for n, name in enumerate(PLACES, 1)}
ROUTERS = ("dr1", "dr2")
AGENTS = {name: name for name in (*ROUTERS, *INSTANCES)}
CLIENTS = {"c1": "dr1", "c2": "dr2"}
PROBERS = {"dr1": "10.11.0.2", "dr2": "10.12.0.2"}
# Policies that look at the instances' load.
WITH_LOAD = ("least-loaded", "weighted", "least-bindings", "water-filling", "power-of-two", "auto")


def target(instance=None):
    return f"{INSTANCES[instance][1] if instance else SID}:{PORT}"


def server(instance):
    return instance, [target(instance)], ["--places", str(PLACES[instance])]


def service(policy, dispatch):
    selection = {"policy": policy}
    if policy in WITH_LOAD:
        # The application's own utilisation: an edge's CPU says nothing about places.
        selection["load"] = [{"metric": "utilization"}]
    return {
        "name": SERVICE,
        "sid": SID,
        "ports": [f"tcp/{PORT}"],
        "dispatch": dispatch,
        "affinity": {"key": "5-tuple", "idle_timeout": "10s", "fin_timeout": "1s", "limit": 20000},
        "selection": selection,
    }


def fabric(lab, *, policy="round-robin", dispatch="reactive", startup_grace="2s"):
    """fabric.yaml"""
    control = lab.management_address("ctl")
    switches = []
    for n, name in enumerate(ROUTERS, 1):
        switches.append({
            "name": name,
            "role": "d-router",
            "ovsdb": f"tcp:{lab.management_address(name)}:6640",
            "bridge": BRIDGE,
            "datapath_type": "netdev",
            "agent": name,
            "ports": [
                {"name": f"to-c{n}", "role": "access", "addresses": [f"192.168.{n}.1/24"]},
                {"name": BRIDGE, "role": "edge", "addresses": [f"10.1{n}.0.1/24"]},
                {"name": f"to-r{n}", "role": "uplink", "addresses": [f"172.16.{n}.2/24"]},
            ],
            "routes": [{"to": "0.0.0.0/0", "via": f"172.16.{n}.1"}],
        })
    return {
        "controller": {
            "fabric": "selection",
            "openflow_listen": f"ptcp:6653:{control}",
            "metrics_bind": f"tcp://{control}:5570",
            "api_socket": lab.path("controller.sock"),
            "database": lab.path("dyncast.db"),
            "startup_grace": startup_grace,
        },
        "switches": switches,
        "agents": [{"name": name, "bids": [f"10.{n}.0.0/24"]} for n, name in enumerate(INSTANCES, 1)]
        + [{"name": name, "bids": [f"10.1{n}.0.0/24"]} for n, name in enumerate(ROUTERS, 1)],
        "services": [service(policy, dispatch)],
    }


def agent(lab, name, *, report_interval_ms=1000):
    """agent.yaml: at an edge it reads the instance's own metrics, beside a D-Router it measures the way to the edges."""
    document = {
        "name": name,
        "controllers": [f"tcp://{lab.management_address('ctl')}:5570"],
        "report_interval": f"{report_interval_ms}ms",
        "instances": [],
    }
    if name in ROUTERS:
        document["probes"] = [{"peer": edge, "address": bid} for edge, (_, bid) in INSTANCES.items()]
    if name in INSTANCES:
        service_name, bid = INSTANCES[name]
        document["reflector"] = {"listen": [f"{bid}:862"], "senders": list(PROBERS.values())}
        document["instances"].append({
            "name": name,
            "service": service_name,
            "bid": bid,
            "port": PORT,
            "cgroup": lab.cgroup(name),
            "health": {"check": "tcp"},
            "scrape": {
                "url": f"http://{bid}:{PORT}/metrics",
                "metrics": [
                    {"name": "request_rate", "from": "requests_total", "rate": True, "unit": "1/s"},
                    {"name": "utilization", "from": "utilization", "unit": "ratio"},
                    {"name": "latency", "from": "latency_seconds", "unit": "seconds"},
                    {"name": "queue", "from": "waiting", "unit": "1"},
                ],
            },
        })
    return document
