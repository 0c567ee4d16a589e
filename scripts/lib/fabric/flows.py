"""What a switch really holds: its binding flows, read with ovs-ofctl, as comparable keys."""

import ipaddress
import re

from .figure2 import BRIDGE

BINDING_TABLE = 20
BINDING_COOKIE = "cookie=0xd103000000000000/0xffff000000000000"
FIELD = re.compile(r"(?:^|[ ,])(nw_src|tp_src|tp_dst|reg8|reg1)=(0x[0-9a-f]+|[0-9./]+)")


def binding_lines(switch):
    text = switch.ofctl("--no-stats", "dump-flows", BRIDGE, f"table={BINDING_TABLE},{BINDING_COOKIE}")
    return [line.strip() for line in text.splitlines() if "cookie=" in line]


def parse(line):
    """(client, protocol, source port, destination port, instance id) of one binding flow; 0 for any."""
    cookie = int(re.search(r"cookie=(0x[0-9a-f]+)", line).group(1), 16)
    match = line.split(" actions=")[0]
    fields = dict(FIELD.findall(match))
    proto = next((name for name in ("tcp", "udp", "sctp", "icmp") if re.search(rf"[ ,]{name}\b", match)), "any")
    # A key of the client alone matches a register that holds its (masked) address.
    client = fields.get("nw_src") or str(ipaddress.ip_address(int(fields["reg8"], 0)))
    return (client, proto, int(fields.get("tp_src", "0"), 0), int(fields.get("tp_dst", "0"), 0),
            (cookie >> 16) & 0xFFFF)


def bindings(switch):
    """All of a switch's bindings, sorted."""
    return sorted(parse(line) for line in binding_lines(switch))


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
