"""What a switch really holds: its binding flows, read with ovs-ofctl, as comparable keys."""

import ipaddress
import re

from .figure2 import BRIDGE

BINDING_TABLES = (20, 21, 22, 26, 27, 28)
BINDING_COOKIE = "cookie=0xd103000000000000/0xffff000000000000"
# The affinity key: reg4 protocol and family; in registers reg7 ports, reg8..reg11 the client; else in the header.
HEADER = re.compile(r"(?:^|[ ,])(nw_src|ipv6_src|tp_src|tp_dst)=([0-9a-f.:]+)")
HEADER_TABLE = re.compile(r"(?:^|[ ,])table=2[678](?=[ ,]|$)")
FIELD = re.compile(r"(?:^|[ ,])(x*reg\d+)=(0x[0-9a-f]+|\d+)(?=[ ,]|$)")
KEY_IPV6 = 0x100
PROTOCOLS = {0: "any", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmp", 132: "sctp"}


def binding_lines(switch):
    """Binding flows of all stores. With generations a key may stand in both tables."""
    text = "".join(switch.ofctl("--no-stats", "dump-flows", BRIDGE, f"table={table},{BINDING_COOKIE}")
                   for table in BINDING_TABLES)
    return [line.strip() for line in text.splitlines() if "cookie=" in line]


def instance_of(cookie):
    return (cookie >> 16) & 0xFFFF


def parse(line):
    """(client, protocol, source port, destination port, instance id) of one binding flow; 0 for any."""
    cookie = int(re.search(r"cookie=(0x[0-9a-f]+)", line).group(1), 16)
    fields = {name: int(value, 0) for name, value in FIELD.findall(line.split(" actions=")[0])}
    kind, ports = fields["reg4"], fields.get("reg7", 0)
    protocol, instance = PROTOCOLS[kind & 0xFF], instance_of(cookie)
    if HEADER_TABLE.search(line):
        header = dict(HEADER.findall(line.split(" actions=")[0]))
        client = header.get("ipv6_src", "::") if kind & KEY_IPV6 else header.get("nw_src", "0.0.0.0")
        return (client, protocol, int(header.get("tp_src", 0)), int(header.get("tp_dst", 0)), instance)
    address = fields.get("xxreg2")
    if address is None:
        address = sum(fields.get(f"reg{8 + n}", 0) << (96 - 32 * n) for n in range(4))
    client = ipaddress.IPv6Address(address) if kind & KEY_IPV6 else ipaddress.IPv4Address(address >> 96)
    return (str(client), protocol, ports >> 16, ports & 0xFFFF, instance)


def bindings(switch):
    """All of a switch's bindings, sorted, each key once."""
    return sorted({parse(line) for line in binding_lines(switch)})


def count_bindings(switch):
    """How many binding flows each table holds, without reading them."""
    result = {}
    for table in BINDING_TABLES:
        text = switch.ofctl("dump-aggregate", BRIDGE, f"table={table},{BINDING_COOKIE}")
        result[table] = int(re.search(r"flow_count=(\d+)", text).group(1))
    return result


def of_cookie(switch, cookie):
    """Flows whose cookie matches VALUE/MASK, in any table."""
    text = switch.ofctl("--no-stats", "dump-flows", BRIDGE, f"cookie={cookie}")
    return [line.strip() for line in text.splitlines() if "cookie=" in line]


def of_service(switch, service_id):
    """Every flow that carries a service's id in its cookie, of whatever kind but neighbours."""
    found = []
    for kind in (1, 2, 3, 6):
        value = 0xD100 << 48 | kind << 48 | service_id << 32
        found += of_cookie(switch, f"{value:#x}/0xffffffff00000000")
    return found


def groups(switch):
    """{group id: [instance id of each bucket]}"""
    result = {}
    for line in switch.ofctl("dump-groups", BRIDGE).splitlines():
        found = re.search(r"group_id=(\d+),", line)
        if found:
            result[int(found.group(1))] = [
                int(value, 0) for value in re.findall(r"(?:load:|set_field:)(0x[0-9a-f]+|\d+)->(?:NXM_NX_REG0\[\]|reg0)",
                                                      line)]
    return result


def dropped(switch, table):
    """Packets that the drop flows of a table have counted."""
    total = 0
    for line in switch.ofctl("dump-flows", BRIDGE, f"table={table}").splitlines():
        if line.endswith("actions=drop"):
            total += int(re.search(r"n_packets=(\d+)", line).group(1))
    return total


def packets(switch, table, text):
    """Packets that the flows of a table whose dump holds `text` have counted, those in the datapath included."""
    switch.appctl("revalidator/wait")
    total = 0
    for line in switch.ofctl("dump-flows", BRIDGE, f"table={table}").splitlines():
        if text in line:
            total += int(re.search(r"n_packets=(\d+)", line).group(1))
    return total


def asked(switch):
    """Packets that a D-Router has selected an instance for because a D-Forwarder asked."""
    return packets(switch, 15, "reg6=0x4/0xffff")


def own_dump(switch):
    """stable_dump without the neighbours that the switch has learned by itself."""
    return [line for line in stable_dump(switch) if not line.startswith("cookie=0xd104")]


def stable_dump(switch):
    """Every flow of the bridge without counters and ages, sorted: equal dumps mean nothing was changed."""
    text = switch.ofctl("--no-stats", "dump-flows", BRIDGE)
    return sorted(line.strip() for line in text.splitlines() if "cookie=" in line)


def added_after(switch, duration_s):
    """Flows younger than `duration_s`: what was added or replaced since."""
    text = switch.ofctl("dump-flows", BRIDGE)
    young = []
    for line in text.splitlines():
        age = re.search(r"duration=([0-9.]+)s", line)
        if age and float(age.group(1)) < duration_s:
            young.append(line.strip())
    return young
