"""Links between nodes, and the management network. A link with delay, jitter, loss or rate is cut in the
middle and joined by the relay program in a namespace of its own."""

import os

from . import netns, processes
from .errors import LabError

VLAN_PORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vlan_port.py")


def connect(lab, number, link, relay):
    """Makes one link; the relay's process if it needs one."""
    a, b = link.ends
    space_a, space_b = netns.name_of(lab, a.node), netns.name_of(lab, b.node)
    process = None
    if not link.shape.needed():
        netns.veth(space_a, a.interface, space_b, b.interface, link.mtu)
    else:
        if relay is None:
            raise LabError(
                f"the link {a.node} - {b.node} needs dyncast-relay: ./scripts/build release dyncast-relay")
        middle = netns.create(lab, f"link{number}")
        netns.veth(space_a, a.interface, middle, "end-a", link.mtu)
        netns.veth(space_b, b.interface, middle, "end-b", link.mtu)
        netns.batch(middle, ["link set dev end-a up", "link set dev end-b up"])
        process = processes.start(lab, middle, None, f"relay-{a.node}-{b.node}", [
            relay, "--a", "end-a", "--b", "end-b", "--delay-us", str(link.shape.delay_us),
            "--jitter-us", str(link.shape.jitter_us), "--loss", str(link.shape.loss),
            "--rate-mbit", str(link.shape.rate_mbit), "--seed", str(number + 1)])
        process.wait_output("ready")
    for space, end in ((space_a, a), (space_b, b)):
        netns.batch(space, _address(end.interface, end.addresses))
        for tag, addresses in end.vlans.items():
            name = f"{end.interface}.{tag}"
            processes.start(lab, space, None, f"{end.node}-{name}", ["/usr/bin/python3", VLAN_PORT, end.interface,
                                                                    str(tag), name]).wait_output("ready")
            netns.batch(space, _address(name, addresses))
    return process


def _address(interface, addresses):
    return [f"link set dev {interface} up"] + [
        f"address add {address} dev {interface}{' nodad' if ':' in address else ''}" for address in addresses]


def management(lab, nodes):
    """One Linux bridge in a namespace of its own; each managed node gets mgmt0."""
    managed = [node for node in nodes.values() if node.management]
    if not managed:
        return
    space = netns.create(lab, "mgmt")
    netns.batch(space, ["link add br-mgmt type bridge stp_state 0 forward_delay 0", "link set br-mgmt up"])
    for number, node in enumerate(managed):
        port = f"m{number}"
        own = netns.name_of(lab, node.name)
        netns.run(["ip", "link", "add", "mgmt0", "netns", own, "type", "veth", "peer", "name", port, "netns", space])
        netns.batch(own, [f"address add {node.management} dev mgmt0", "link set dev mgmt0 up"])
        netns.batch(space, [f"link set dev {port} master br-mgmt", f"link set dev {port} up"])
