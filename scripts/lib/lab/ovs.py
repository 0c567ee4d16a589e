"""One ovsdb-server and one ovs-vswitchd per switch, in the switch's namespace, with files of their own.

Bridges in the userspace datapath (datapath_type=netdev) need no kernel module.
"""

import os
import signal
import subprocess

from . import journal, netns, processes
from .errors import LabError
from .waiting import wait_until

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
OVSDB_PORT = 6640


class Switch:
    """The Open vSwitch of one node."""

    def __init__(self, lab, node):
        self.lab = lab
        self.node = node
        self.folder = os.path.join(journal.folder(lab), node.name)
        self.namespace = netns.name_of(lab, node.name)
        self.environment = {
            key: self.folder for key in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")}

    @property
    def database(self):
        return f"unix:{self.folder}/db.sock"

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        netns.run(["ovsdb-tool", "create", f"{self.folder}/conf.db", SCHEMA])
        self.start_ovsdb()
        self.vsctl("--no-wait", "init")
        self.start_vswitchd()

    def start_ovsdb(self):
        remotes = [f"--remote=punix:{self.folder}/db.sock"]
        if self.node.management:
            address = self.node.management.split("/")[0]
            remotes.append(f"--remote=ptcp:{OVSDB_PORT}:{address}")
        self._daemon("ovsdb-server", [f"{self.folder}/conf.db", *remotes])

    def start_vswitchd(self):
        self._daemon("ovs-vswitchd", [self.database, "--disable-system"])

    def _daemon(self, program, arguments):
        argv = [program, *arguments, f"--pidfile={self.folder}/{program}.pid", f"--log-file={self.folder}/{program}.log",
                f"--unixctl={self.folder}/{program}.ctl", "--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off"]
        done = subprocess.run(processes.command_in(self.namespace, None, argv), capture_output=True, text=True,
                              env={**os.environ, **self.environment}, check=False)
        if done.returncode != 0:
            raise LabError(f"{self.node.name}: {program} does not start: {done.stderr.strip() or self.log_tail(program)}")
        pid = self.pid(program)
        journal.append(self.lab, {"kind": "process", "name": f"{self.node.name} {program}", "pid": pid,
                                  "start": processes.start_time(pid)})

    def pid(self, program):
        with open(f"{self.folder}/{program}.pid", encoding="utf-8") as file:
            return int(file.read())

    def log_tail(self, program, lines=15):
        try:
            with open(f"{self.folder}/{program}.log", encoding="utf-8", errors="replace") as file:
                return "\n".join(file.read().splitlines()[-lines:])
        except OSError:
            return ""

    def stop_daemon(self, program, number=signal.SIGTERM):
        pid = self.pid(program)
        started = processes.start_time(pid)
        processes.send_signal(pid, started, number)
        wait_until(lambda: not processes.alive(pid, started), 10, f"the end of {self.node.name}'s {program}")

    def restart_vswitchd(self):
        """As after a crash: flows are gone, the database is not."""
        self.stop_daemon("ovs-vswitchd", signal.SIGKILL)
        self.start_vswitchd()

    def run(self, *argv, check=True):
        done = subprocess.run(processes.command_in(self.namespace, None, list(argv)), capture_output=True, text=True,
                              env={**os.environ, **self.environment}, check=False)
        if check and done.returncode != 0:
            raise LabError(f"{self.node.name}: {' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def vsctl(self, *argv):
        return self.run("ovs-vsctl", f"--db={self.database}", "--timeout=30", *argv)

    def ofctl(self, *argv):
        return self.run("ovs-ofctl", "-O", "OpenFlow15", "--timeout=60", *argv)

    def appctl(self, *argv):
        return self.run("ovs-appctl", "--timeout=60", f"--target={self.folder}/ovs-vswitchd.ctl", *argv)
