"""Gives a bridge's LOCAL port its addresses and routes whenever the bridge appears: after the controller
made it, and again after ovs-vswitchd was restarted. Runs in the switch's namespace as a process of its own.

Usage: local_port.py '{"addresses": {"br0": ["10.0.0.2/24"]}, "routes": [["10.0.0.0/8", "10.0.0.1"]], "mtu": 1500}'
"""

import errno
import json
import select
import socket
import subprocess
import sys


def configure(bridge, addresses, routes):
    """Best effort: the interface may vanish between any two commands; the next event tells."""
    commands = [["link", "set", bridge, "up"]]
    commands += [["address", "replace", address, "dev", bridge, *(["nodad"] if ":" in address else [])]
                 for address in addresses]
    commands += [["route", "replace", to, "via", via, "dev", bridge] for to, via in routes]
    for command in commands:
        done = subprocess.run(["ip", *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"{bridge}: ip {' '.join(command)}: {done.stderr.strip()}", flush=True)
            return False
    return True


def present():
    links = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True).stdout)
    return {link["ifname"]: link["ifindex"] for link in links}


def link_events():
    """A socket that becomes readable when an interface of this namespace changes."""
    rtmgrp_link = 1
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    events.bind((0, rtmgrp_link))
    events.setblocking(False)
    return events


def drain(events):
    try:
        while events.recv(65536):
            pass
    except BlockingIOError:
        pass
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # too many at once: looking again is all that matters
            raise


def main():
    spec = json.loads(sys.argv[1])
    routes = spec.get("routes", [])
    told = {}  # bridge -> interface index
    events = link_events()  # before the first look, so that nothing is missed between the two
    print("ready", flush=True)
    while True:
        links = present()
        failed = False
        for bridge, addresses in spec["addresses"].items():
            # At every event: ovs-vswitchd takes the port down to set its MAC, and the routes go with that.
            if bridge not in links:
                continue
            if not configure(bridge, addresses, routes):
                failed = True
            elif told.get(bridge) != links[bridge]:
                told[bridge] = links[bridge]
                print(f"{bridge}: {' '.join(addresses)}", flush=True)
        select.select([events], [], [], 0.5 if failed else None)
        drain(events)


if __name__ == "__main__":
    sys.exit(main())
