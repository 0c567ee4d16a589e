"""Network namespaces and the interfaces in them, by iproute2."""

import os
import subprocess

from . import journal
from .errors import LabError


def run(argv, stdin=None):
    """Runs a command of the system; its output. LabError with what it said."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(argv)}: {said or f'status {done.returncode}'}")
    return done.stdout


def name_of(lab, node):
    return f"dyn-{lab}-{node}"


def exists(namespace):
    return os.path.exists(f"/run/netns/{namespace}")


def create(lab, node, forward=False, ipv6=False):
    namespace = name_of(lab, node)
    if exists(namespace):
        raise LabError(f"network namespace {namespace} exists already and is not this lab's")
    journal.append(lab, {"kind": "netns", "name": namespace})
    run(["ip", "netns", "add", namespace])
    settings = {
        "net/ipv4/conf/all/rp_filter": 0,
        "net/ipv4/conf/default/rp_filter": 0,
        "net/ipv4/ip_forward": int(forward),
        # A host of several interfaces answers ARP only where the address is, and asks with that address.
        "net/ipv4/conf/all/arp_ignore": 1,
        "net/ipv4/conf/all/arp_announce": 2,
        "net/ipv4/icmp_ratelimit": 0,
        "net/ipv6/conf/all/disable_ipv6": int(not ipv6),
        "net/ipv6/conf/default/disable_ipv6": int(not ipv6),
    }
    if ipv6:
        settings["net/ipv6/conf/all/forwarding"] = int(forward)
        for scope in ("all", "default"):
            settings[f"net/ipv6/conf/{scope}/accept_dad"] = 0
            settings[f"net/ipv6/conf/{scope}/accept_ra"] = 0
        settings["net/ipv6/ip_nonlocal_bind"] = 1  # addresses of a node's `networks` may be bound to
        settings["net/ipv6/icmp/ratelimit"] = 0
    script = "".join(f"echo {value} > /proc/sys/{key}\n" for key, value in settings.items())
    run(["nsenter", f"--net=/run/netns/{namespace}", "--", "sh", "-e"], stdin=script)
    batch(namespace, ["link set lo up"])
    return namespace


def batch(namespace, lines):
    """Several `ip` commands at once inside a namespace."""
    if lines:
        run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")


def pids(namespace):
    done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in done.stdout.split()]


def delete(namespace):
    if exists(namespace):
        run(["ip", "netns", "delete", namespace])


def offloads_off(namespace, interface):
    """A userspace switch and the relay see frames as they are: no larger than the MTU, with checksums."""
    run(["nsenter", f"--net=/run/netns/{namespace}", "--", "ethtool", "-K", interface, "tx", "off", "rx", "off",
         "tso", "off", "gso", "off", "gro", "off"])


def veth(namespace_a, interface_a, namespace_b, interface_b, mtu):
    run(["ip", "link", "add", interface_a, "netns", namespace_a, "mtu", str(mtu), "type", "veth",
         "peer", "name", interface_b, "netns", namespace_b, "mtu", str(mtu)])
    for namespace, interface in ((namespace_a, interface_a), (namespace_b, interface_b)):
        offloads_off(namespace, interface)
