"""Correct IP on every path: families, VLANs, fragments, small MTUs, TTLs, ICMP errors, and packets nobody should send.
Checksums are right where the kernels' sockets take what arrives."""

import json
import os

from case import scenario
from fabric import dispatch, flows
from fabric.dispatch import PORT, SID4, SID6, service, target

TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")
LEARN, REACTIVE = (SID4, SID6), ("10.96.0.2", "fd96::2")
TRANSFER_PORT = 7000
OCTETS = 5_000_000


def tool(fabric, node, name, *arguments):
    return json.loads(fabric.lab.run(node, "/usr/bin/python3", "-B", os.path.join(TOOLS, name), *map(str, arguments)))


def both_modes(**options):
    ports = (f"tcp/{PORT}", f"udp/{PORT}", f"tcp/{TRANSFER_PORT}", "icmp")
    return [service("learn", sid=LEARN, ports=ports, **options),
            service("reactive", sid=REACTIVE, ports=ports, dispatch="reactive", **options)]


def place_instances(fives):
    """{instance: service} for lists of names per service."""
    return {name: of for of, names in fives.items() for name in names}


def start_transfer_servers(fabric, names):
    for name in names:
        node, bid = dispatch.place(name)
        fabric.lab.start(node, f"transfer-{name}", ["/usr/bin/python3", "-B", os.path.join(TOOLS, "transfer.py"), "serve",
                                                    bid, str(TRANSFER_PORT)]).wait_output("ready")


@scenario()
def test_ip_both_families_in_both_modes(case):
    """HTTP, UDP and echo over IPv4 and IPv6, learn and reactive, from an untagged, a VLAN and a routed access port."""
    instances = place_instances({"learn": ["i1", "i2", "v1", "v2"], "reactive": ["i3", "i4", "v3", "v4"]})
    fabric = case.edge(both_modes(), instances, servers=list(instances), server_options=("--udp",))
    for node, v4, v6 in (("cl", "10.1.0.2", "fd01::2"), ("tag", "10.3.0.2", "fd03::2"), ("cp", "10.41.0.2", "fd41::2")):
        for mode, sids in (("learn", LEARN), ("reactive", REACTIVE)):
            for sid, source in zip(sids, (v4, v6)):
                expected = {name for name, of in instances.items() if of == mode and (name[0] == "v") == (":" in sid)}
                said = f"{node} to {sid} ({mode})"
                report = fabric.clients.run(node, [target(sid)], requests=40, connections=20, addresses=[source])
                assert report["failed"] == 0 and report["moved_connections"] == 0, f"{said}: {report['failures']}"
                assert set(report["instances"]) == expected, f"{said}: {report['instances']}"
                datagrams = tool(fabric, node, "datagrams.py", "ask", sid, PORT, 8, 600, source)
                assert datagrams["answered"] == 8 and set(datagrams["instances"]) <= expected, f"{said}: {datagrams}"
                pinged = fabric.lab.run(node, "ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", sid, check=False)
                assert " 0% packet loss" in pinged, f"{said}: {pinged}"
    assert fabric.wait_bindings_equal() >= 2 * 2 * 3 * 29
    # The same host without a tag is in another network, whose access port is another one.
    untagged = fabric.clients.run("tag", [target(SID4)], requests=4, connections=2, addresses=["10.9.0.2"]) \
        if route_untagged(fabric) else None
    assert untagged and untagged["failed"] == 0, untagged


def route_untagged(fabric):
    """From its untagged address, `tag` goes over the untagged interface."""
    fabric.lab.run("tag", "ip", "route", "add", "default", "via", "10.9.0.1", "table", "9")
    fabric.lab.run("tag", "ip", "rule", "add", "from", "10.9.0.2", "table", "9")
    return True


def reassembled(fabric, node):
    """Datagrams that the node's kernel has put together, IPv4 and IPv6: all their fragments came to one address."""
    lines = [line.split() for line in fabric.lab.run(node, "cat", "/proc/net/snmp", "/proc/net/snmp6").splitlines()]
    v4 = [line for line in lines if line[0] == "Ip:"]
    return (int(v4[1][v4[0].index("ReasmOKs")]), int(next(line[1] for line in lines if line[0] == "Ip6ReasmOKs")))


@scenario()
def test_ip_fragments_stay_together(case):
    """UDP questions and answers of 4,000 octets: every fragment goes where its first one goes, all arrive whole."""
    services, instances = [], {}
    for n, (mode, key) in enumerate((("learn", "5-tuple"), ("reactive", "3-tuple"), ("learn", "3-tuple"))):
        services.append(service(f"s{n}", sid=(f"10.96.0.{n + 1}", f"fd96::{n + 1}"), ports=(f"udp/{PORT}",), key=key,
                                dispatch=mode))
        instances |= {f"{family}{3 * n + i}": f"s{n}" for family in "iv" for i in (1, 2, 3)}
    fabric = case.edge(services, instances, servers=list(instances), server_options=("--udp",))
    for n, what in enumerate(services):
        asked = case.scale(30, 1000)
        for sid in what["sid"]:
            before = reassembled(fabric, "farm")[":" in sid]
            result = tool(fabric, "cl", "datagrams.py", "ask", sid, PORT, asked, 4000, "-", 3)
            said = f"{what['dispatch']} {what['affinity']['key']} {sid}: {result}"
            fabric.wait(lambda s=sid, b=before, a=asked: reassembled(fabric, "farm")[":" in s] - b >= a,
                        lambda t=said: f"{asked} questions in one piece at one address; {t}", 5)
            assert result["answered"] == asked and result["short"] == 0 and len(result["instances"]) == 1, said


@scenario()
def test_ip_transfers_through_a_small_mtu(case):
    """5 MB each way through a hop of 1,400 octets, before the D-Router and behind it, in both families and modes."""
    instances = place_instances({"learn": ["f1", "g1"], "reactive": ["i1", "v1"]})
    fabric = case.edge(both_modes(), instances)
    start_transfer_servers(fabric, instances)
    # cl to far: the hop is behind the D-Router. cp to farm: in front of it. Sources differ, so that no path's
    # learned MTU helps the next.
    paths = [("cl", LEARN, {"10.": "100.64.7.{}", "fd": "fd64::7:{}"}), ("cp", REACTIVE, {"10.": None, "fd": None})]
    for node, sids, sources in paths:
        for sid in sids:
            for number, direction in enumerate(("up", "down")):
                pattern = sources[sid[:2] if sid.startswith("fd") else "10."]
                source = [pattern.format(number + 1)] if pattern else []
                fabric.lab.run(node, "ip", "-6" if ":" in sid else "-4", "route", "flush", "cache")
                result = tool(fabric, node, "transfer.py", direction, sid, TRANSFER_PORT, OCTETS, *source)
                assert result["whole"], f"{node} to {sid}: {result}"
                assert result["seconds"] < 10, f"{node} to {sid}: {result}"
    counters = fabric.ctl("status")["counters"]
    mapped = {key: value for key, value in counters.items() if "icmp" in key}
    assert mapped and max(mapped.values()) > 0, f"no ICMP error was mapped: {counters}"


@scenario()
def test_ip_errors_reach_the_socket_they_are_about(case):
    """Time exceeded from the D-Router and from a router behind it, and port unreachable from an instance: the client's
    socket gets each, as about the D-SID."""
    instances = place_instances({"learn": ["f1", "g1"], "reactive": ["i1", "v1"]})
    fabric = case.edge(both_modes(), instances)
    v4 = {1: {"type": 11, "code": 0}, 2: {"type": 11, "code": 0}, 64: {"type": 3, "code": 3}}
    v6 = {1: {"type": 3, "code": 0}, 2: {"type": 3, "code": 0}, 64: {"type": 1, "code": 4}}
    senders = {(LEARN[0], 1): "10.1.0.1", (LEARN[1], 1): "fd01::1", (LEARN[0], 2): "10.5.0.2", (LEARN[1], 2): "fd05::2",
               (LEARN[0], 64): LEARN[0], (LEARN[1], 64): LEARN[1],
               (REACTIVE[0], 1): "10.1.0.1", (REACTIVE[1], 1): "fd01::1",
               (REACTIVE[0], 64): REACTIVE[0], (REACTIVE[1], 64): REACTIVE[1]}
    for (sid, ttl), sender in senders.items():
        wanted = dict((v6 if ":" in sid else v4)[ttl])
        found = tool(fabric, "cl", "datagrams.py", "error", sid, PORT, ttl)
        assert {key: found.get(key) for key in wanted} == wanted, f"{sid} with TTL {ttl}: {found}, not {wanted}"
        assert found["from"] == sender, f"{sid} with TTL {ttl}: from {found['from']}, not {sender}"


ODD = ("checksum", "udp-checksum", "version", "header-length", "total-length", "tcp-offset", "ttl-0", "options",
       "source-port-0", "tiny-fragment", "overlap", "last-fragment", "icmp-error", "truncated", "extension", "multicast",
       "loopback")


@scenario(warnings=(r"code=DC-CT-003",))
def test_ip_spoofed_and_odd_packets_do_no_harm(case):
    """Spoofed sources are dropped and counted; packets nobody should send bind nobody and stop nothing."""
    instances = place_instances({"learn": ["i1", "i2", "v1", "v2"], "reactive": ["i3", "v3"]})
    fabric = case.edge(both_modes(), instances, servers=list(instances), server_options=("--udp",))
    loads = [fabric.clients.start("cl", [target(sid)], connections=10, rate=100) for sid in (*LEARN, *REACTIVE)]
    for load in loads:
        load.wait_progress(lambda p: p["requests"] >= 40, 20, "running flows")
    mac = fabric.gateway_mac()
    spoofed = {SID4: ("8.8.8.8", "10.3.0.2", SID4, "10.1.0.1", dispatch.place("i1")[1]),
               SID6: ("2001:db8::1", "fd03::2", SID6, "fd01::1", dispatch.place("v1")[1])}
    before = flows.dropped(fabric.switch, 5)
    sent = 0
    for sid, sources in spoofed.items():
        result = tool(fabric, "cl", "odd_packets.py", "to-dr", mac, "-", sid, PORT, 40, *(f"spoofed={s}" for s in sources))
        sent += sum(result.values())
    fabric.wait(lambda: flows.dropped(fabric.switch, 5) - before >= sent,
                lambda: f"{sent} spoofed packets to be counted: {flows.dropped(fabric.switch, 5) - before}", 10)
    clients = {SID4: "100.64.9.9", SID6: "fd64::9:9"}
    for sids in (LEARN, REACTIVE):
        for sid in sids:
            client = clients[SID6 if ":" in sid else SID4]
            tool(fabric, "cl", "odd_packets.py", "to-dr", mac, client, sid, PORT, 20, *ODD)
    # Neither packets with a forged source nor broken ones made a binding for anybody else.
    own = set(fabric.lab.addresses("cl")) | set(clients.values())
    strangers = {row[0] for row in flows.bindings(fabric.switch)} - own
    assert not strangers, f"bindings of {strangers}"
    for load in loads:
        seen = load.progress()["requests"]
        load.wait_progress(lambda p, c=seen: p["requests"] >= c + 100, 20, "flows going on")
        report = load.finish()
        assert report["failed"] == 0 and report["moved_connections"] == 0, report["failures"]
    for sid in (*LEARN, *REACTIVE):
        report = fabric.clients.run("cl", [target(sid)], requests=20, connections=5, new_connections=True)
        assert report["failed"] == 0, f"{sid}: {report['failures']}"
