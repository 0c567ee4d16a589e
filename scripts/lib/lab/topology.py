"""A topology as the user wrote it, parsed and validated. Pure: touches nothing but the text.

Every error names file:line, the key, the value and the rule; all that can be found at once are given.
"""

import ipaddress
import re
from dataclasses import dataclass, field

import yaml

from .errors import LabError

KINDS = ("client", "host", "router", "switch", "controller")
NAME = re.compile(r"[a-z][a-z0-9-]{0,11}$")
LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}$")
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")
CGROUP = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}$")
UNITS_US = {"us": 1, "ms": 1000, "s": 1_000_000}
UNITS_MBIT = {"kbit": 0.001, "mbit": 1.0, "gbit": 1000.0}
MANAGEMENT_DEFAULT = "10.255.0.0/24"


@dataclass(frozen=True)
class Route:
    to: str  # a prefix, or "default"
    via: str


@dataclass
class Node:
    name: str
    kind: str
    management: str | None = None  # ADDRESS/LENGTH of mgmt0
    cgroup: str | None = None
    routes: list[Route] = field(default_factory=list)
    loopback: list[str] = field(default_factory=list)  # ADDRESS/LENGTH on lo
    networks: list[str] = field(default_factory=list)  # every address of these prefixes is the node's own
    # switch: addresses and routes of a bridge's LOCAL port, set whenever the bridge appears
    local_addresses: dict[str, list[str]] = field(default_factory=dict)
    local_routes: list[Route] = field(default_factory=list)


@dataclass
class End:
    node: str
    interface: str
    addresses: list[str] = field(default_factory=list)  # ADDRESS/LENGTH
    vlans: dict[int, list[str]] = field(default_factory=dict)  # 802.1Q id -> addresses of INTERFACE.ID

    def everything(self):
        """All addresses, tagged or not."""
        return self.addresses + [a for many in self.vlans.values() for a in many]


@dataclass
class Shape:
    """What makes a link imperfect; times in microseconds, loss 0..1, rate in Mbit/s (0: no limit)."""

    delay_us: int = 0
    jitter_us: int = 0
    loss: float = 0.0
    rate_mbit: float = 0.0

    def needed(self):
        return bool(self.delay_us or self.jitter_us or self.loss or self.rate_mbit)


@dataclass
class Link:
    ends: tuple[End, End]
    mtu: int = 1500
    shape: Shape = field(default_factory=Shape)


@dataclass
class Topology:
    name: str
    management_network: str
    nodes: dict[str, Node]
    links: list[Link]
    ipv6: bool = False

    def interfaces(self, node):
        return [end for link in self.links for end in link.ends if end.node == node]


class _Lined(dict):
    """A mapping that knows the line of itself and of its keys."""

    line = 0
    key_lines = None


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader, node):
    result = _Lined()
    result.line = node.start_mark.line + 1
    result.key_lines = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, (str, int)):
            raise LabError(f"{loader.name}:{line}: a key must be a word")
        key = str(key)
        if key in result:
            raise LabError(f"{loader.name}:{line}: {key}: given twice, first in line {result.key_lines[key]}")
        result[key] = loader.construct_object(value_node, deep=True)
        result.key_lines[key] = line
    return result


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


class _Parser:
    def __init__(self, name):
        self.name = name
        self.errors = []

    def error(self, where, key, message):
        line = where
        if isinstance(where, _Lined):
            line = where.key_lines.get(key, where.line)
        self.errors.append(f"{self.name}:{line}: {key}: {message}")

    def known(self, mapping, allowed, what):
        for key in mapping:
            if key not in allowed:
                self.error(mapping, key, f"unknown key of {what}; it has {', '.join(sorted(allowed))}")

    def section(self, mapping, key, kind, default):
        value = mapping.get(key, default)
        if value is None:
            value = default
        if not isinstance(value, kind):
            words = {dict: "keys and values", list: "a list"}
            self.error(mapping, key, f"must be {words.get(kind, kind.__name__)}")
            return default
        return value

    def matches(self, mapping, key, value, pattern, rule):
        if isinstance(value, str) and pattern.match(value):
            return True
        self.error(mapping, key, f"'{value}': {rule}")
        return False

    def address(self, mapping, key, value):
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            self.error(mapping, key, f"'{value}' is no IP address")
            return None

    def interface_addresses(self, mapping, key):
        """Each entry is ADDRESS/LENGTH, or {first: ADDRESS/LENGTH, count: N} for N in a row."""
        result = []
        for entry in self.section(mapping, key, list, []):
            first, count = entry, 1
            if isinstance(entry, dict):
                self.known(entry, {"first", "count"}, "an address range")
                first, count = entry.get("first"), entry.get("count", 1)
                if not isinstance(count, int) or not 1 <= count <= 4096:
                    self.error(mapping, key, f"count '{count}' must be 1..4096")
                    continue
            try:
                if "/" not in str(first):
                    raise ValueError
                base = ipaddress.ip_interface(first)
                for i in range(count):
                    address = base.ip + i
                    if address not in base.network:
                        raise ValueError
                    result.append(f"{address}/{base.network.prefixlen}")
            except (ValueError, ipaddress.AddressValueError):
                self.error(mapping, key, f"'{entry}' must be ADDRESS/LENGTH (with count: all in one network)")
        return result

    def networks(self, mapping, key):
        result = []
        for entry in self.section(mapping, key, list, []):
            try:
                result.append(str(ipaddress.ip_network(entry)))
            except ValueError:
                self.error(mapping, key, f"'{entry}' must be a network without host bits")
        return result

    def vlans(self, mapping, key):
        """{ID: [ADDRESS/LENGTH, ...]}"""
        result = {}
        raw = self.section(mapping, key, dict, _Lined())
        for name in raw:
            if not re.match(r"[1-9][0-9]{0,3}$", name) or int(name) > 4094:
                self.error(raw, name, f"'{name}' must be a VLAN id, 1..4094")
                continue
            result[int(name)] = self.interface_addresses(raw, name)
        return result

    def routes(self, mapping, key):
        result = []
        for entry in self.section(mapping, key, list, []):
            if not isinstance(entry, dict) or set(entry) != {"to", "via"}:
                self.error(mapping, key, f"'{entry}' must be {{to: PREFIX or default, via: ADDRESS}}")
                continue
            to = entry["to"]
            if to != "default":
                try:
                    to = str(ipaddress.ip_network(to))
                except ValueError:
                    self.error(entry, "to", f"'{to}' must be a network without host bits, or 'default'")
                    continue
            via = self.address(entry, "via", entry["via"])
            if via:
                result.append(Route(to, via))
        return result

    def quantity(self, mapping, key, units):
        """'2ms' or '100mbit' in the smallest named unit."""
        value = mapping.get(key)
        if value is None:
            return 0
        match = re.match(r"(\d+(?:\.\d+)?)([a-z]+)$", str(value))
        if not match or match.group(2) not in units:
            self.error(mapping, key, f"'{value}' must be a number and one of {', '.join(units)}")
            return 0
        return float(match.group(1)) * units[match.group(2)]

    def loss(self, mapping):
        value = mapping.get("loss")
        if value is None:
            return 0.0
        text = str(value)
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = -1
        if not 0 <= share <= 1:
            self.error(mapping, "loss", f"'{value}' must be 0%..100% or 0..1")
            return 0.0
        return share

    def node(self, nodes, name, raw):
        if not self.matches(nodes, name, name, NAME, "a node's name is a-z, 0-9 and -, at most 12 bytes"):
            return None
        if not isinstance(raw, dict):
            self.error(nodes, name, "must be keys and values")
            return None
        self.known(
            raw,
            {"kind", "management", "management_address", "cgroup", "routes", "loopback", "networks",
             "local_addresses", "local_routes"},
            "a node",
        )
        node = Node(name, raw.get("kind", ""))
        if node.kind not in KINDS:
            self.error(raw, "kind", f"'{node.kind}' must be one of {', '.join(KINDS)}")
        node.cgroup = raw.get("cgroup")
        if node.cgroup is not None:
            self.matches(raw, "cgroup", node.cgroup, CGROUP, "must be a-z, 0-9, - and _")
        node.routes = self.routes(raw, "routes")
        node.loopback = self.interface_addresses(raw, "loopback")
        node.networks = self.networks(raw, "networks")
        for bridge in self.section(raw, "local_addresses", dict, _Lined()):
            self.matches(raw["local_addresses"], bridge, bridge, INTERFACE, "must be a bridge's name")
            node.local_addresses[bridge] = self.interface_addresses(raw["local_addresses"], bridge)
        node.local_routes = self.routes(raw, "local_routes")
        if node.kind != "switch":
            for key in ("local_addresses", "local_routes"):
                if key in raw:
                    self.error(raw, key, "only a switch has it")
        return node

    def managed(self, raw, node):
        wanted = raw.get("management", node.kind in ("switch", "controller"))
        if not isinstance(wanted, bool):
            self.error(raw, "management", f"'{wanted}' must be true or false")
        if wanted is False and node.kind in ("switch", "controller"):
            self.error(raw, "management", f"a {node.kind} is always on the management network")
        return wanted is True or "management_address" in raw

    def number_management(self, network, raws, nodes):
        """Addresses in the order of the file, those that the user chose left out."""
        taken = {}
        for name, node in nodes.items():
            chosen = raws[name].get("management_address")
            if chosen is None:
                continue
            address = self.address(raws[name], "management_address", chosen)
            if address is None:
                continue
            if ipaddress.ip_address(address) not in network:
                self.error(raws[name], "management_address", f"'{chosen}' is not in {network}")
            elif address in taken:
                self.error(raws[name], "management_address", f"'{chosen}' is {taken[address]}'s")
            taken[address] = name
            node.management = f"{address}/{network.prefixlen}"
        free = (str(a) for a in network.hosts() if str(a) not in taken)
        for name, node in nodes.items():
            if node.management is None and self.managed(raws[name], node):
                address = next(free, None)
                if address is None:
                    self.error(raws[name], "management", f"{network} has no address left")
                    return
                node.management = f"{address}/{network.prefixlen}"

    def link(self, raw, number, nodes, used):
        if not isinstance(raw, dict):
            self.error(0, f"links[{number}]", "must be keys and values")
            return None
        self.known(raw, {"ends", "delay", "jitter", "loss", "rate", "mtu"}, "a link")
        ends_raw = self.section(raw, "ends", list, [])
        if len(ends_raw) != 2 or not all(isinstance(e, dict) for e in ends_raw):
            self.error(raw, "ends", "a link has two ends, each {node: NAME, addresses: [...]}")
            return None
        ends = []
        for i, end_raw in enumerate(ends_raw):
            self.known(end_raw, {"node", "interface", "addresses", "vlans"}, "an end")
            node = end_raw.get("node")
            other = ends_raw[1 - i].get("node")
            if node not in nodes:
                self.error(end_raw, "node", f"'{node}' is not among the nodes")
                return None
            interface = end_raw.get("interface") or self.free_name(used, node, f"to-{other}")
            self.matches(end_raw, "interface", interface, INTERFACE, "must be 1..15 of A-Za-z0-9_.-")
            if (node, interface) in used or interface in ("lo", "mgmt0"):
                self.error(end_raw, "interface", f"'{interface}' is taken on {node}")
            used.add((node, interface))
            end = End(node, interface, self.interface_addresses(end_raw, "addresses"), self.vlans(end_raw, "vlans"))
            for key in ("addresses", "vlans"):
                if key in end_raw and nodes[node].kind == "switch":
                    self.error(end_raw, key, f"{node} is a switch: its ports' addresses are the pipeline's")
            for tag in end.vlans:
                self.matches(end_raw, "vlans", f"{interface}.{tag}", INTERFACE, "must be 1..15 bytes with the VLAN id")
            ends.append(end)
        if ends[0].node == ends[1].node:
            self.error(raw, "ends", f"both are {ends[0].node}")
        mtu = raw.get("mtu", 1500)
        if not isinstance(mtu, int) or not 576 <= mtu <= 9000:
            self.error(raw, "mtu", f"'{mtu}' must be 576..9000")
        shape = Shape(
            delay_us=int(self.quantity(raw, "delay", UNITS_US)),
            jitter_us=int(self.quantity(raw, "jitter", UNITS_US)),
            loss=self.loss(raw),
            rate_mbit=self.quantity(raw, "rate", UNITS_MBIT),
        )
        return Link((ends[0], ends[1]), mtu, shape)

    @staticmethod
    def free_name(used, node, wanted):
        name, number = wanted[:15], 1
        while (node, name) in used:
            number += 1
            suffix = f"-{number}"
            name = wanted[: 15 - len(suffix)] + suffix
        return name


def parse(text, file_name):
    """Topology from YAML; LabError with one line per fault."""
    try:
        loader = _Loader(text)
        loader.name = file_name
        raw = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LabError(f"{file_name}:{line}: not YAML: {error.problem}") from None
    if not isinstance(raw, dict):
        raise LabError(f"{file_name}:1: a topology has the keys name, nodes, links, management_network")
    parser = _Parser(file_name)
    parser.known(raw, {"name", "management_network", "nodes", "links"}, "a topology")
    name = raw.get("name", "lab")
    parser.matches(raw, "name", name, LAB_NAME, "a lab's name is a-z, 0-9 and -, at most 24 bytes")
    network_text = raw.get("management_network", MANAGEMENT_DEFAULT)
    try:
        network = ipaddress.ip_network(network_text)
    except ValueError:
        parser.error(raw, "management_network", f"'{network_text}' must be a network without host bits")
        network = ipaddress.ip_network(MANAGEMENT_DEFAULT)
    nodes_raw = parser.section(raw, "nodes", dict, _Lined())
    if not nodes_raw:
        parser.error(raw, "nodes", "must name at least one node")
    nodes = {}
    for node_name, node_raw in nodes_raw.items():
        node = parser.node(nodes_raw, node_name, node_raw)
        if node:
            nodes[node_name] = node
    parser.number_management(network, nodes_raw, nodes)
    used = set()
    links = []
    for number, link_raw in enumerate(parser.section(raw, "links", list, [])):
        link = parser.link(link_raw, number, nodes, used)
        if link:
            links.append(link)
    if parser.errors:
        raise LabError("\n".join(parser.errors))
    everything = [a for link in links for end in link.ends for a in end.everything()]
    everything += [a for node in nodes.values() for a in node.loopback + node.networks]
    everything += [a for node in nodes.values() for many in node.local_addresses.values() for a in many]
    return Topology(name, str(network), nodes, links, ipv6=any(":" in a for a in everything))


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{path}: cannot be read: {error}") from None
    return parse(text, str(path))
