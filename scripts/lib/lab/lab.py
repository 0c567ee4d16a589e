"""A running lab: made from a topology, undone from its journal."""

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import sys

from . import journal, links, netns, processes
from .errors import LabError
from .ovs import Switch
from .topology import LAB_NAME
from .waiting import wait_until

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def binary_folder():
    return os.environ.get("DYNCAST_BIN_DIR") or os.path.join(REPOSITORY, "build", "release", "bin")


def program(name):
    """The path of one of our programs; LabError says how to build it."""
    path = os.path.join(binary_folder(), name)
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is not built: ./scripts/build release {name}")
    return path


class Lab:
    def __init__(self, name, topology):
        self.name = name
        self.topology = topology
        self.switches = {n.name: Switch(name, n) for n in topology.nodes.values() if n.kind == "switch"}
        self.folder = journal.folder(name)

    # ---- Up -----------------------------------------------------------------------------------

    @classmethod
    def up(cls, topology, name=None):
        """Makes the lab. After any failure or signal nothing of it is left."""
        name = name or topology.name
        if not LAB_NAME.match(name):
            raise LabError(f"'{name}': a lab's name is a-z, 0-9 and -, at most 24 bytes")
        if os.geteuid() != 0:
            raise LabError("a lab needs root: it makes network namespaces")
        lab = cls(name, topology)
        if not journal.create(name, lab.document()):
            raise LabError(f"a lab named {name} is there already: scripts/lab down --name {name}")
        try:
            lab._build()
        except BaseException:
            down(name)
            raise
        return lab

    def document(self):
        """What `exec` and `status` of another process need to know."""
        return {"name": self.name, "nodes": {
            node.name: {"kind": node.kind, "management": node.management, "cgroup": node.cgroup,
                        "interfaces": self._interfaces(node.name)}
            for node in self.topology.nodes.values()}}

    def _interfaces(self, node):
        result = {}
        for end in self.topology.interfaces(node):
            result[end.interface] = end.addresses
            result |= {f"{end.interface}.{tag}": addresses for tag, addresses in end.vlans.items()}
        return result

    def _build(self):
        relay = os.path.join(binary_folder(), "dyncast-relay")
        relay = relay if os.access(relay, os.X_OK) else None
        for node in self.topology.nodes.values():
            netns.create(self.name, node.name, forward=node.kind == "router", ipv6=self.topology.ipv6)
            netns.batch(netns.name_of(self.name, node.name), [
                *(f"address add {a} dev lo" for a in node.loopback), *(f"route add local {n} dev lo" for n in node.networks)])
            if node.cgroup and processes.make_cgroup(self.name, node.cgroup) is None:
                print(f"lab: no cgroup v2 here: {node.name} is not in cgroup {node.cgroup}", file=sys.stderr)
        links.management(self.name, self.topology.nodes)
        for number, link in enumerate(self.topology.links):
            links.connect(self.name, number, link, relay)
        for node in self.topology.nodes.values():
            netns.batch(netns.name_of(self.name, node.name), [
                f"route add {'default' if r.to == 'default' else r.to} via {r.via}" for r in node.routes])
        for switch in self.switches.values():
            switch.start()
            self._watch_local_port(switch.node)
        journal.append(self.name, {"kind": "up"})

    def _watch_local_port(self, node):
        if not node.local_addresses:
            return
        spec = {"addresses": node.local_addresses, "routes": [[r.to, r.via] for r in node.local_routes]}
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "local_port.py")
        self.start(node.name, f"{node.name}-local-port", ["/usr/bin/python3", script, json.dumps(spec)]).wait_output("ready")

    def wait_local_ports(self, timeout_s=20):
        """Until the LOCAL ports of all switches have addresses and routes; somebody must make the bridges."""
        for name, switch in self.switches.items():
            wanted = [f"{'inet6' if ':' in a else 'inet'} {a}"
                      for many in switch.node.local_addresses.values() for a in many]
            wanted += [f"{r.to} via {r.via}" for r in switch.node.local_routes]

            def there(node=name, parts=tuple(wanted)):
                seen = "".join(self.run(node, "ip", *words) for words in (
                    ["address"], ["-4", "route"], ["-6", "route"]))
                return all(part in seen for part in parts)

            wait_until(there, timeout_s, f"{name}'s LOCAL port with {', '.join(wanted)}")

    # ---- Use ----------------------------------------------------------------------------------

    def cgroup(self, node):
        name = self.topology.nodes[node].cgroup
        return processes.cgroup_path(self.name, name) if name else None

    def command(self, node, argv):
        if node not in self.topology.nodes:
            raise LabError(f"no node {node}; there are {', '.join(self.topology.nodes)}")
        cgroup = self.cgroup(node)
        return processes.command_in(netns.name_of(self.name, node), cgroup, argv)

    def start(self, node, name, argv, env=None, append=False):
        """A background process in a node. Ends with the lab at the latest."""
        if node not in self.topology.nodes:
            raise LabError(f"no node {node}; there are {', '.join(self.topology.nodes)}")
        return processes.start(self.name, netns.name_of(self.name, node), self.cgroup(node), name, argv, env,
                               append=append)

    def run(self, node, *argv, timeout_s=60, check=True):
        """A command in a node, to its end; its output."""
        try:
            done = subprocess.run(self.command(node, list(argv)), capture_output=True, text=True, timeout=timeout_s,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise LabError(f"{node}: {' '.join(argv)}: no end within {timeout_s:g} s") from None
        if check and done.returncode != 0:
            raise LabError(f"{node}: {' '.join(argv)}: status {done.returncode}: "
                           f"{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def management_address(self, node):
        return self.topology.nodes[node].management.split("/")[0]

    def addresses(self, node):
        """The node's own addresses on its links, without prefix lengths."""
        return [str(ipaddress.ip_interface(a).ip) for e in self.topology.interfaces(node) for a in e.everything()]

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def down(self):
        down(self.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()


# ---- Down -------------------------------------------------------------------------------------


def down(name):
    """Undoes all that the journal names. What could not be undone is told in one LabError."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        _down(name)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _down(name):
    if not journal.exists(name):
        raise LabError(f"no lab named {name}")
    problems = []

    def attempt(step, *arguments):
        try:
            step(*arguments)
        except (LabError, OSError) as error:
            problems.append(str(error))

    attempt(processes.end, [(e["pid"], e["start"]) for e in journal.entries(name, "process")])
    spaces = [e["name"] for e in journal.entries(name, "netns")]
    # What was started by `lab exec`, or by a process of ours: it runs in a namespace that we made.
    strangers = [(pid, processes.start_time(pid)) for space in spaces for pid in netns.pids(space)]
    strangers = [(pid, started) for pid, started in strangers if started is not None and pid != os.getpid()]
    attempt(processes.end, strangers)
    for space in reversed(spaces):
        attempt(netns.delete, space)
    for path in dict.fromkeys(e["path"] for e in journal.entries(name, "cgroup")):
        attempt(processes.remove_cgroup, path)
    if problems:
        raise LabError(f"lab {name}: not all could be undone (try `down` again):\n" + "\n".join(problems))
    shutil.rmtree(journal.folder(name))
    try:
        os.rmdir(journal.ROOT)
    except OSError:
        pass  # other labs are there


def remains(name):
    """What is left of a lab after `down`; empty if nothing."""
    left = []
    if journal.exists(name):
        left.append(journal.folder(name))
    try:
        left += [f"namespace {n}" for n in os.listdir("/run/netns") if n.startswith(f"dyn-{name}-")]
    except OSError:
        pass
    root = processes.cgroup_root()
    if root and os.path.exists(os.path.join(root, f"dyncast-lab-{name}")):
        left.append(f"cgroup dyncast-lab-{name}")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if f"{journal.folder(name)}/".encode() in file.read():
                    left.append(f"process {pid}")
        except OSError:
            continue
    return left
