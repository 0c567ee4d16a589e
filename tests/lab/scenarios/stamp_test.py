"""The network between agents, measured by STAMP: known delays and losses, and another implementation (scapy's) at
either end. What must not be answered is not, and is counted."""

import json
import os
import re

from case import scenario
from lab.lab import REPOSITORY, program
from lab.waiting import wait_until

TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")
LEFT, RIGHT = ("10.1.0.2", "fd01::2"), ("10.2.0.2", "fd02::2")
STRANGER = "10.1.0.3"  # an address of left's that no reflector knows
KEYED_PORT = 1862
MS = 1000  # microseconds


def listening(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Agents:
    """Agents in the lab, and what they say of the network."""

    def __init__(self, case):
        self.lab = case.lab("stamp.yaml")
        self.key = self.write("stamp.key", "a key for this lab only\n", 0o600)
        endpoint = f"tcp://{self.lab.management_address('ctl')}:5570"
        self.endpoint = endpoint
        self.listener = self.lab.start("ctl", "listener", [
            "/usr/bin/python3", "-B", os.path.join(TOOLS, "paths_listener.py"), os.path.join(REPOSITORY, "schema", "wire"),
            endpoint])
        self.listener.wait_output("ready")
        self.running = {}

    def write(self, name, text, mode=0o644):
        path = self.lab.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def start(self, node, name, *, reflector=None, probes=()):
        document = {"name": name, "controllers": [self.endpoint], "report_interval": "500ms", "probes": list(probes)}
        if reflector:
            document["reflector"] = reflector
        path = self.write(f"{name}.yaml", json.dumps(document))
        self.running[name] = self.lab.start(node, name, [program("dyncast-agent"), "--config", path])
        self.running[name].wait_output("agent started")
        if reflector:
            for address in reflector["listen"]:
                self.running[name].wait_output(f"stamp-reflecting at={address} ")
        return self.running[name]

    def reflector(self, addresses, port=862, key=None, **options):
        options.setdefault("senders", ["10.1.0.2/32", "10.2.0.2/32", "fd01::/64", "fd02::/64"])
        return {"listen": [listening(a, port) for a in addresses], **({"key_file": key} if key else {}), **options}

    def said(self, agent):
        """All that `agent` said of its paths: lists of paths."""
        lines = [json.loads(line) for line in self.listener.output().splitlines() if line.startswith("{")]
        return [line["paths"] for line in lines if line["agent"] == agent]

    def wait_path(self, agent, peer, ipv6, condition, meaning, timeout_s=20):
        """The newest figures of a path for which `condition` holds."""
        def newest():
            said = self.said(agent)
            found = [p for p in said[-1] if p["peer"] == peer and p.get("ipv6", False) == ipv6] if said else []
            return found[0] if found else None

        def good():
            path = newest()
            return path if path and condition(path) else None

        return wait_until(good, timeout_s, lambda: f"{agent}'s path to {peer}: {meaning}; {newest()}", poll_s=0.1)

    def tool(self, node, *arguments):
        return json.loads(self.lab.run(node, "/usr/bin/python3", "-B", os.path.join(TOOLS, "stamp_peer.py"),
                                       *map(str, arguments)))

    def start_tool(self, node, name, *arguments):
        process = self.lab.start(node, name, ["/usr/bin/python3", "-B", os.path.join(TOOLS, "stamp_peer.py"),
                                              *map(str, arguments)])
        process.wait_output("ready")
        return process

    def stop(self, name):
        """Ends an agent; the counters that it leaves in its log, of the reflector and of each session."""
        process = self.running.pop(name)
        assert process.stop() == 0, f"{name} ended with status {process.popen.returncode}"
        lines = [dict(re.findall(r"(\w[\w-]*)=(\S+)", line)) for line in process.output().splitlines()
                 if " agent stamp-reflector " in line or " agent stamp-session " in line]
        return {line.get("peer", "reflector") + line.get("family", ""): line for line in lines}


def filter_rules(agents, node, *rules):
    """Drops what the rules say where it comes in."""
    text = "\n".join(["table inet stamp {", "  chain input {", "    type filter hook input priority 0;",
                      *(f"    {rule}" for rule in rules), "  }", "}"])
    agents.lab.run(node, "nft", "-f", agents.write("rules.nft", text + "\n"))


def no_filter(agents, node):
    agents.lab.run(node, "nft", "delete", "table", "inet", "stamp")


def probes(peer, addresses, **options):
    return [{"peer": peer, "address": address, "interval": "50ms", "timeout": "200ms", "window": "3s", **options}
            for address in addresses]


@scenario()
def test_stamp_delay_and_loss_are_what_they_are(case):
    """5 ms each way are measured as 10 ms, a fifth lost on one way as a fifth on that way; both ways, both families, with
    and without a key."""
    agents = Agents(case)
    agents.start("left", "left", reflector=agents.reflector(LEFT),
                 probes=probes("right", RIGHT, key_file=agents.key))
    agents.start("right", "right", reflector=agents.reflector(RIGHT, key=agents.key), probes=probes("left", LEFT))
    for agent, peer in (("left", "right"), ("right", "left")):
        for ipv6 in (False, True):
            path = agents.wait_path(agent, peer, ipv6, lambda p: p["sent"] >= 55 and p["loss"] == 0,
                                    "a full window without losses")
            assert path["loss_forward"] == 0 and path["loss_backward"] == 0, path
            assert 10 * MS <= path["rtt_min_us"] <= 12 * MS, path
            assert path["rtt_min_us"] <= path["rtt_us"] <= 20 * MS, path
            assert path["jitter_forward_us"] < 5 * MS and path["jitter_backward_us"] < 5 * MS, path
    near = lambda value, part: abs(value - part) <= 0.04
    # Questions, where they come in; then answers.
    filter_rules(agents, "right", "meta nfproto ipv4 udp dport 862 numgen inc mod 5 == 0 drop",
                 "meta nfproto ipv6 udp sport 862 numgen inc mod 4 == 0 drop")
    agents.wait_path("left", "right", False, lambda p: near(p["loss_forward"], 0.2) and p["loss_backward"] == 0 and
                     near(p["loss"], 0.2), "a fifth lost on the way there")
    agents.wait_path("right", "left", True, lambda p: near(p["loss_backward"], 0.25) and p["loss_forward"] == 0 and
                     near(p["loss"], 0.25), "a quarter lost on the way back")
    for agent, peer, ipv6 in (("left", "right", True), ("right", "left", False)):
        path = agents.wait_path(agent, peer, ipv6, lambda _: True, "")
        assert path["loss"] == 0, f"{agent} to {peer}: {path}"
    no_filter(agents, "right")
    filter_rules(agents, "right", "udp dport 862 drop")
    path = agents.wait_path("left", "right", False, lambda p: p["loss"] == 1, "all lost")
    assert not {"rtt_us", "rtt_min_us", "jitter_forward_us", "loss_forward"} & path.keys(), path
    no_filter(agents, "right")
    agents.wait_path("left", "right", False, lambda p: p["loss"] == 0 and "rtt_us" in p, "nothing lost any more")
    for name in ("left", "right"):
        log = agents.running[name].output()
        assert "received=kernel sent=kernel" in log, f"the kernel did not time {name}'s packets: {log}"
        counters = agents.stop(name)
        assert set(counters["reflector"]) >= {"answered", "forged"} and int(counters["reflector"]["answered"]) > 50
        for verdict in ("unknown-sender", "short", "forged", "replayed", "rate-limited", "no-room", "send_failures"):
            assert counters["reflector"][verdict] == "0", counters["reflector"]


@scenario()
def test_stamp_another_implementation_is_answered(case):
    """Scapy asks our reflector: both families, with and without a key, padded and wrapping numbers."""
    agents = Agents(case)
    agents.start("right", "open", reflector=agents.reflector(RIGHT))
    agents.start("right", "keyed", reflector=agents.reflector(RIGHT, KEYED_PORT, agents.key))
    asked = 0
    for address in RIGHT:
        for port, key in ((862, "-"), (KEYED_PORT, agents.key)):
            for octets, first in ((0, 0), (113, 7), (1400, 2**32 - 3), (4000, 0)):
                said = f"{address} {port}, {octets} octets from {first}"
                answers = agents.tool("left", "send", address, port, key, 6, octets, first)["answers"]
                asked += len(answers)
                assert [a["of"] for a in answers] == [(first + i) % 2**32 for i in range(6)], f"{said}: {answers}"
                assert [a["sequence"] for a in answers] == list(range(6)), f"{said}: {answers}"
                for answer in answers:
                    assert answer["ssid"] == 4242 and answer["ttl"] == 63, f"{said}: {answer}"
                    assert answer["octets"] == max(octets, 112 if key != "-" else 44), f"{said}: {answer}"
                    assert answer["padding_kept"] and answer["time_copied"] and answer["in_order"], f"{said}: {answer}"
                    assert 0 <= answer["held_us"] < 5 * MS, f"{said}: {answer}"
                    assert answer["round_trip_us"] - answer["held_us"] >= 10 * MS, f"{said}: {answer}"
    answered = sum(int(agents.stop(name)["reflector"]["answered"]) for name in ("open", "keyed"))
    assert answered == asked == 96, f"{answered} of {asked} by our count"


@scenario()
def test_stamp_another_implementation_answers(case):
    """Our sessions to scapy's reflector: both families, with and without a key; answers that are lost are seen as such."""
    agents = Agents(case)
    peers = []
    wanted = []
    for number, (address, key, drop) in enumerate(((RIGHT[0], "-", 0), (RIGHT[1], agents.key, 0), (RIGHT[0], agents.key, 4))):
        port = 9000 + number
        peers.append(agents.start_tool("right", f"scapy-{number}", "reflect", address, port, key, drop))
        wanted += probes(f"scapy-{number}", [address], port=port, **({} if key == "-" else {"key_file": key}))
    agents.start("left", "left", probes=wanted)
    for number, loss in enumerate((0, 0, 0.25)):
        path = agents.wait_path("left", f"scapy-{number}", number == 1, lambda p: p["sent"] >= 55, "a full window")
        assert abs(path["loss"] - loss) < 0.03, path
        assert path["loss_forward"] == 0 and abs(path["loss_backward"] - loss) < 0.03, path
        # T2 and T3 are this other program's own times: what the kernel needed before them counts as the network's.
        assert 10 * MS <= path["rtt_min_us"] <= 13 * MS, path
    counters = agents.stop("left")
    for number, peer in enumerate(peers):
        assert peer.stop() == 0
        result = json.loads(peer.output().splitlines()[-1])
        session = counters[f"scapy-{number}" + ("IPv6" if number == 1 else "IPv4")]
        assert result["refused"] == 0 and len(result["ssids"]) == 1 and result["ssids"] != [0], result
        assert result["octets"] == [44 if number == 0 else 112], result
        # Some may be on their way at the end.
        assert int(session["sent"]) - 3 <= result["taken"] <= int(session["sent"]), f"{session} {result}"
        assert result["answered"] - 3 <= int(session["answered"]) <= result["answered"], f"{session} {result}"
        for refused in ("short", "forged", "unexpected", "duplicates", "late", "clock_steps"):
            assert session[refused] == "0", session


@scenario(warnings=(r"code=DC-AG-021 ",))
def test_stamp_what_must_not_be_answered_is_not(case):
    """Short, forged and replayed packets, strangers and floods: dropped and counted, and the right ones are answered."""
    agents = Agents(case)
    keyed = agents.start("right", "keyed", reflector=agents.reflector(RIGHT, KEYED_PORT, agents.key, rate_limit=50))
    plain = agents.start("right", "plain", reflector=agents.reflector(RIGHT))
    for address in RIGHT:
        for port, key in ((862, "-"), (KEYED_PORT, agents.key)):
            kinds = {"short": [1], "replayed": [0, 1], "other-mode": [1]} | ({"forged": [1]} if key != "-" else {})
            for kind, expected in kinds.items():
                result = agents.tool("left", "wrong", address, port, key, kind)
                assert result["answered"] == expected, f"{kind} to {address} port {port}: {result}"
    # Of a thousand at once, one session's rate: 50, and what comes due meanwhile.
    answered = agents.tool("left", "many", RIGHT[0], KEYED_PORT, agents.key, 1000)["answered"]
    assert 50 <= answered <= 100, answered
    # A stranger gets nothing, not even a word that nothing listens there.
    agents.lab.run("left", "ip", "route", "replace", "default", "via", "10.1.0.1", "src", STRANGER)
    asked = agents.tool("left", "many", RIGHT[0], 862, "-", 20)
    assert asked["answered"] == 0, asked
    keyed.wait_output("why=rate-limited")
    plain.wait_output("why=unknown-sender")
    of_keyed, of_plain = agents.stop("keyed")["reflector"], agents.stop("plain")["reflector"]
    # Per family: short once and, in the other mode, an empty or an unsigned one; two copies; forged once.
    expected = {"short": 2, "forged": 4, "replayed": 4, "unknown-sender": 0}
    assert {k: int(of_keyed[k]) for k in expected} == expected, of_keyed
    # What a full socket lost nobody counts.
    assert 100 <= int(of_keyed["rate-limited"]) <= 1000 - answered, of_keyed
    expected = {"short": 4, "forged": 0, "replayed": 4, "unknown-sender": 20, "rate-limited": 0}
    assert {k: int(of_plain[k]) for k in expected} == expected, of_plain
