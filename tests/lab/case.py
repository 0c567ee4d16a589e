"""One running scenario: its labs, its fabric, and the checks at its end."""

import itertools
import os

from fabric import dispatch, figure2, figure4, forwarders, logs, takeover
from fabric.edge import EdgeFabric
from fabric.forwarders import ForwarderFabric, wait_tunnels
from fabric.running import Fabric
from fabric.takeover import TakeoverFabric
from lab import topology
from lab.errors import LabError
from lab.lab import Lab
from lab.waiting import wait_until

TOPOLOGIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "topologies")
_numbers = itertools.count(1)


def scenario(**wants):
    """Marks of a scenario. `warnings`: regular expressions of warnings that belong to it."""

    def mark(function):
        function.wants = wants
        return function

    return mark


class Case:
    def __init__(self, name, wants, full=False):
        self.name = name
        self.full = full  # at full scale: tests/lab/run --full
        self.warnings = list(wants.get("warnings", ()))
        self.labs = []
        self.fabrics = []

    # ---- Making -------------------------------------------------------------------------------

    def lab(self, topology_file="figure2.yaml"):
        """A lab with a name of its own, removed at the end."""
        path = topology_file if os.path.isabs(topology_file) else os.path.join(TOPOLOGIES, topology_file)
        # The PID, so that several runs on one machine do not meet.
        lab = Lab.up(topology.load(path), f"t{os.getpid()}-{next(_numbers)}")
        self.labs.append(lab)
        return lab

    def fabric(self, change=None, *, start=True, change_agents=None):
        """Figure 2, running and ready. `change(fabric)` may alter fabric.yaml first."""
        lab = self.lab()
        document = figure2.fabric(lab)
        if change:
            change(document)
        agents = {name: figure2.agent(lab, name) for name in figure2.AGENTS}
        if change_agents:
            for agent in agents.values():
                change_agents(agent)
        fabric = Fabric(lab, fabric=document, agents=agents)
        self.fabrics.append(fabric)
        if start:
            fabric.start()
        return fabric

    def edge(self, services, instances, *, start=True, **options):
        """One D-Router on dispatch.yaml with these services and instances (see EdgeFabric), running and ready."""
        fabric = EdgeFabric(self.lab(dispatch.TOPOLOGY), services, instances, **options)
        self.fabrics.append(fabric)
        if start:
            fabric.start()
        return fabric

    def figure4(self, change=None, *, start=True, **options):
        """Figure 4, running and ready, its tunnels too. `options` are figure4.fabric's."""
        lab = self.lab(figure4.TOPOLOGY)
        document = figure4.fabric(lab, **options)
        if change:
            change(document)
        fabric = Fabric(lab, fabric=document, layout=figure4)
        self.fabrics.append(fabric)
        if start:
            fabric.start()
            wait_tunnels(fabric)
        return fabric

    def forwarders(self, services, instances, *, start=True, **options):
        """Eight D-Forwarders on one D-Router with these services and instances (see ForwarderFabric), running and ready."""
        fabric = ForwarderFabric(self.lab(forwarders.TOPOLOGY), services, instances, **options)
        self.fabrics.append(fabric)
        if start:
            fabric.start()
        return fabric

    def takeover(self, services, instances, *, start=True, **options):
        """One D-Forwarder and two D-Routers that it may ask, none of them on anybody's way (see takeover.yaml)."""
        fabric = TakeoverFabric(self.lab(takeover.TOPOLOGY), services, instances, **options)
        self.fabrics.append(fabric)
        if start:
            fabric.start()
        return fabric

    def scale(self, small, full):
        return full if self.full else small

    # ---- Ending -------------------------------------------------------------------------------

    def check_end(self):
        """Holds at the end of every scenario: nothing crashed, the switches hold what a full recompute
        wants, and no log has a warning that does not belong here."""
        for fabric in self.fabrics:
            if fabric.controller is None:
                continue
            fabric.require_running()
            # Bindings may end while they are compared: their news is on its way.
            result = wait_until(lambda f=fabric: next(filter(lambda r: r["ok"], [f.check()]), None), 5,
                                lambda f=fabric: f"dyncastctl check to find all equal: {f.check()}")
            assert len(result["switches"]) == len(fabric.lab.switches), f"check left a switch out: {result}"
            for row in result["switches"]:
                assert row.get("reachable") and row.get("plan_equal"), f"check: {row}"
        self.check_logs()
        for fabric in self.fabrics:
            self.stop_programs(fabric)
        # That the controller went away is a warning for the switches, and right now it should be.
        self.check_logs(switches=False)

    def check_logs(self, *, switches=True):
        for lab in self.labs:
            lines = logs.unexpected(lab, self.warnings, switches=switches)
            assert not lines, "unexpected in the logs:\n" + "\n".join(f"{f}: {line}" for f, line in lines[:15])

    def stop_programs(self, fabric):
        """SIGTERM ends each of ours cleanly, with status 0."""
        for name, agent in fabric.agent_processes.items():
            if agent.running():
                assert agent.stop() == 0, f"{name} ended with status {agent.popen.returncode}"
        if fabric.controller and fabric.controller.running():
            status = fabric.controller.stop()
            assert status == 0, f"the controller ended with status {status}"

    def end(self):
        problems = []
        for lab in self.labs:
            try:
                lab.down()
            except LabError as error:
                problems.append(str(error))
        if problems:
            raise LabError("\n".join(problems))

    def log_tails(self):
        text = ""
        for lab in self.labs:
            for path in logs.files(lab):
                name = os.path.basename(path)
                if name.startswith(("controller", "agent")):
                    text += f"\n-- {lab.name} {name}\n{logs.tail(path, 12)[0]}"
        return text
