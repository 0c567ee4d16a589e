"""A fabric running in a lab: servers, agents, controller, and questions to them."""

import json
import os
import signal
import sqlite3
import subprocess

import yaml
from lab.errors import LabError
from lab.lab import program
from lab.waiting import wait_until

from . import figure2, flows
from .client import Clients


class _Plain(yaml.SafeDumper):
    """Writes a value that is used twice twice: anchors are refused by our programs."""

    def ignore_aliases(self, data):
        return True


class Fabric:
    """`layout` (figure2, or one like it) knows which instances and agents there are and where they run."""

    def __init__(self, lab, *, fabric=None, agents=None, layout=figure2):
        self.lab = lab
        self.layout = layout
        self.fabric = fabric or layout.fabric(lab)
        self.agents = agents if agents is not None else {name: layout.agent(lab, name) for name in layout.AGENTS}
        self.clients = Clients(lab)
        self.controller = None
        self.agent_processes = {}
        self.servers = {}

    # ---- Programs -----------------------------------------------------------------------------

    def write(self, name, document):
        """Puts a configuration into the lab's folder; its path. Text is written as it is."""
        path = self.lab.path(name)
        text = document if isinstance(document, str) else yaml.dump(document, Dumper=_Plain, sort_keys=False)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)
        return path

    def start_controller(self):
        config = self.write("fabric.yaml", self.fabric)
        self.controller = self.lab.start("ctl", "controller", [program("dyncast-controller"), "--config", config],
                                         append=True)

    def start_agent(self, name):
        config = self.write(f"{name}.yaml", self.agents[name])
        self.agent_processes[name] = self.lab.start(
            self.layout.AGENTS[name], name, [program("dyncast-agent"), "--config", config], append=True)

    def start_server(self, instance):
        node, binds, options = self.layout.server(instance)
        server = self.lab.start(node, f"web-{instance}", [program("dyncast-web"), "--bind", ",".join(binds), "--name",
                                                          instance, *options])
        server.wait_output("ready")
        self.servers[instance] = server

    def start(self, timeout_s=60):
        """Everything, until every switch is programmed and every instance is up."""
        for instance in self.layout.INSTANCES:
            self.start_server(instance)
        self.start_controller()
        # Agents check their instances at once: give them switches that forward, and an address.
        self.wait_ready(timeout_s, instances=0)
        self.lab.wait_local_ports()
        for name in self.agents:
            self.start_agent(name)
        return self.wait_ready(timeout_s)

    def wait_ready(self, timeout_s=60, instances=None):
        """The status once all switches are synced and `instances` (default: all) are up."""
        instances = len(self.layout.INSTANCES) if instances is None else instances

        def ready():
            self.require_running()
            status = self.try_ctl("status")
            good = (status and status["switches_synced"] == status["switches_total"]
                    and status["instances_up"] == instances
                    and not any(row.get("trusted_from_before") for row in self.rows("instances")))
            return status if good else None

        return wait_until(ready, timeout_s, lambda: f"a ready fabric; status: {self.try_ctl('status')}", poll_s=0.05)

    @staticmethod
    def wait(condition, what, timeout_s=20):
        """For conditions that ask a program, so not too often."""
        return wait_until(condition, timeout_s, what, poll_s=0.05)

    def require_running(self):
        for process in [self.controller, *self.agent_processes.values()]:
            if process and not process.running():
                raise LabError(f"{process.name} ended with status {process.popen.returncode}:\n"
                               + "\n".join(process.output().splitlines()[-15:]))

    def kill_controller(self):
        self.controller.kill()

    def reload(self, document):
        """Writes fabric.yaml and sends SIGHUP."""
        self.write("fabric.yaml", document)
        self.controller.signal(signal.SIGHUP)

    # ---- Questions ----------------------------------------------------------------------------

    def ctl_argv(self, *arguments, as_json=True):
        argv = [program("dyncastctl"), "--socket", self.fabric["controller"]["api_socket"]]
        return argv + (["--json"] if as_json else []) + list(arguments)

    def ctl(self, *arguments):
        """A command's JSON document. An exit status of 1 means 'not so', which the document tells too."""
        done = subprocess.run(self.ctl_argv(*arguments), capture_output=True, text=True, timeout=60, check=False)
        try:
            if done.returncode in (0, 1):
                return json.loads(done.stdout)
        except ValueError:
            pass
        said = (done.stderr or done.stdout).strip()[-500:]
        raise LabError(f"dyncastctl {' '.join(arguments)}: status {done.returncode}: {said or 'no JSON'}")

    def try_ctl(self, *arguments):
        try:
            return self.ctl(*arguments)
        except (LabError, subprocess.TimeoutExpired):
            return None

    def ctl_text(self, *arguments):
        """The same command as people see it."""
        done = subprocess.run(self.ctl_argv(*arguments, as_json=False), capture_output=True, text=True, timeout=60,
                              check=False)
        return done.stdout or done.stderr

    def rows(self, what, *arguments):
        """`services`, `instances`, `switches`, `agents`, `bindings`, `events`: a list of rows."""
        document = self.ctl(what, *arguments)
        return document[what] if isinstance(document, dict) else document

    def row(self, what, name):
        for row in self.rows(what):
            if row["name"] == name:
                return row
        raise LabError(f"dyncastctl {what}: no {name}")

    def wait_row(self, what, name, condition, timeout_s, meaning):
        def look():
            found = [row for row in (self.try_rows(what) or []) if row["name"] == name]
            return found[0] if found and condition(found[0]) else None

        return wait_until(look, timeout_s, lambda: f"{what} {name}: {meaning}; {self.try_ctl(what)}")

    def try_rows(self, what):
        try:
            return self.rows(what)
        except (LabError, subprocess.TimeoutExpired):
            return None

    def counters(self):
        """Per switch: the OpenFlow counters."""
        return {row["name"]: row["counters"] for row in self.rows("switches")}

    def sql(self, query, *parameters):
        connection = sqlite3.connect(f"file:{self.fabric['controller']['database']}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(query, parameters).fetchall()
        finally:
            connection.close()

    def check(self):
        """`dyncastctl check`; the incremental state of each switch against a full recompute."""
        return self.ctl("check")

    # ---- Bindings -----------------------------------------------------------------------------

    def instance_ids(self):
        return {row["id"]: row["name"] for row in self.rows("instances")}

    def switch_bindings(self):
        """{(switch, client, proto, src_port, dst_port, instance)} as the switches hold them."""
        names = self.instance_ids()
        return {
            (name, client, proto, src, dst, names.get(instance, f"?{instance}"))
            for name, switch in self.lab.switches.items()
            for client, proto, src, dst, instance in flows.bindings(switch)
        }

    def sql_bindings(self):
        """The same from SQLite's view `bindings`."""
        rows = self.sql("select switch, client, proto, src_port, dst_port, instance from bindings")
        return {(switch, client.split("/")[0], proto or "any", src or 0, dst or 0, instance)
                for switch, client, proto, src, dst, instance in rows}

    def wait_bindings_equal(self, timeout_s=15):
        """Until SQLite and the switches hold the same bindings; how many. Tells the difference if not."""
        last = {}

        def equal():
            switches, database = self.switch_bindings(), self.sql_bindings()
            last["difference"] = (sorted(switches - database)[:3], sorted(database - switches)[:3])
            return (len(switches) + 1) if switches == database else None

        return wait_until(equal, timeout_s, lambda: "equal bindings; only in the switches, only in SQLite: "
                          f"{last['difference']}", poll_s=0.2) - 1
