"""Reads the logs of a lab: an unexpected warning or error fails whoever ran it."""

import glob
import os
import re

BAD = re.compile(r"Z\s+(warning|warn|error|critical)\b|\|(WARN|ERR|EMER)\||AddressSanitizer|LeakSanitizer|"
                 r"ThreadSanitizer|runtime error:|Assertion|Traceback")

# What the real programs say in a lab where all is well.
USUAL = (
    # The tap of a bridge that goes away together with its switch.
    r"netdev_linux\|WARN\|ioctl\(SIOCGIFINDEX\)",
    # A userspace datapath on a loaded machine.
    r"Unreasonably long|poll interval|timeval(\(\w+\))?\|WARN\|(faults|disk|context switches)",
    r"ovs_rcu(\(\w+\))?\|WARN\|blocked \d+ ms waiting for \w+ to quiesce",
    r"ofproto_dpif_upcall(\(\w+\))?\|WARN\|upcall: datapath reached the dynamic limit",
    # A cgroup of the lab has no controllers: its use is read, its limits are not there.
    r"code=DC-AG-001 .*what=(cpu\.max|memory\.max|memory_utilization) ",
    r"dpif_netdev\|WARN\|There's no available \(non-isolated\) pmd thread",
)


def files(lab, *, switches=True):
    """Logs of our programs and of the switches, by name."""
    found = glob.glob(os.path.join(lab.folder, "logs", "*.log"))
    for switch in lab.switches.values() if switches else ():
        found += glob.glob(os.path.join(switch.folder, "*.log"))
    return sorted(found)


def tail(path, lines=20, begin=0):
    """The last lines, from line `begin` on, without what is usual: (text, number of lines in the file)."""
    usual = [re.compile(p) for p in USUAL]
    with open(path, encoding="utf-8", errors="replace") as file:
        everything = file.read().splitlines()
    telling = [line for line in everything[begin:] if not any(p.search(line) for p in usual)]
    return "\n".join(telling[-lines:]), len(everything)


def unexpected(lab, allowed=(), *, switches=True):
    """Lines with a warning, an error or a sanitizer's report that nobody expected: [(file, line)]."""
    patterns = [re.compile(p) for p in (*USUAL, *allowed)]
    result = []
    for path in files(lab, switches=switches):
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if BAD.search(line) and not any(p.search(line) for p in patterns):
                    result.append((os.path.relpath(path, lab.folder), line.strip()))
    return result
