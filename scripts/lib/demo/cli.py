"""scripts/demo, after everything is built."""

import argparse
import os
import signal
import sys
import time

from fabric import figure2, figure4, logs
from fabric.running import Fabric
from lab import topology
from lab.errors import LabError
from lab.lab import Lab

from . import steps_broken, steps_forwarder, steps_normal
from .narrator import Narrator, StepFailed, require


def clean_ending(fabric, narrator):
    narrator.say("Each switch is compared with what it must hold, and the logs are read.")
    result = fabric.check()
    for row in result["switches"]:
        narrator.say(f"{row['name']}: {'as it must be' if row['ok'] else row.get('differences')}")
    require(result["ok"], f"dyncastctl check: {result}")
    # The controller that was killed is missed by switches and agents: that much is expected.
    lines = logs.unexpected(fabric.lab, allowed=EXPECTED_AFTER_KILLS)
    require(not lines, "unexpected warnings:\n" + "\n".join(f"{file}: {line}" for file, line in lines[:10]))
    return {"switches": len(result["switches"]), "unexpected_warnings": len(lines)}


EXPECTED_AFTER_KILLS = (
    r"rconn\|WARN\|.*(connection failed|connection dropped|Connection refused|Connection reset)",
    r"stream_tcp\|WARN|jsonrpc\|WARN.*(receive error|Connection reset)|reconnect\|WARN",
    # The agent says what it cannot read of an instance that was killed.
    r"code=DC-AG-00[46] subject=i21 ",
)

FIGURE2 = (
    ("announce", "Instances announce themselves", steps_normal.announce),
    ("spread", "Demands spread over the edges", steps_normal.spread),
    ("affinity", "Flows stay where they were bound", steps_normal.affinity),
    ("two-ports", "Two ports of one client reach one instance", steps_normal.two_ports),
    ("real-load", "Real load moves new demands, not running flows", steps_normal.real_load),
    ("instance-killed", "An instance is killed; its clients go on elsewhere", steps_broken.instance_killed),
    ("controller-restarted", "The controller is killed; nothing that runs changes", steps_broken.controller_restarted),
    ("records", "SQL and explain tell why", steps_broken.records),
    ("clean", "The switches hold what they must", clean_ending),
)
FIGURE4 = (
    ("forwarder", "Figure 4: a D-Forwarder before D-Router 1", steps_forwarder.announce),
    ("asked-once", "The D-Forwarder asks once for each connection", steps_forwarder.asked_once),
    ("forwarder-told", "An instance is killed; the D-Forwarder is told at once", steps_forwarder.instance_killed),
    ("forwarder-clean", "The switches hold what they must", clean_ending),
)


def run_steps(steps, fabric, narrator):
    for number, (name, title, step) in enumerate(steps):
        narrator.title(title)
        begun = time.monotonic()
        try:
            figures = step(fabric, narrator)
            narrator.record(name, True, figures, time.monotonic() - begun)
        except (StepFailed, LabError, KeyError, OSError) as error:
            reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
            narrator.say(f"This did not hold: {reason}")
            narrator.record(name, False, {"reason": reason[:1000]}, time.monotonic() - begun)
            show_logs(fabric)
            if number == 0:
                return


def show_logs(fabric, shown={}):
    """What the programs logged since it was last asked: the last lines of it."""
    for name in ("controller", *figure2.AGENTS):
        path = fabric.lab.path("logs", f"{name}.log")
        if not os.path.exists(path):
            continue
        text, shown[name] = logs.tail(path, 15, shown.get(name, 0))
        print(f"   -- {name}'s log" + ("" if text else ": nothing new"))
        for line in text.splitlines():
            print(f"   {line}")
    for switch in fabric.lab.switches.values():
        bad = [line for line in switch.log_tail("ovs-vswitchd", 200).splitlines() if logs.BAD.search(line)]
        if bad:
            print(f"   -- warnings of {switch.node.name}'s ovs-vswitchd")
            for line in bad[-8:]:
                print(f"   {line}")


def keep_message(fabric):
    name = fabric.lab.name
    control = " ".join(fabric.ctl_argv("status", as_json=False))
    print(f"""
The lab is still up, everything in it is running. Try:
  scripts/lab status --name {name}
  scripts/lab exec --name {name} c1a -- curl -s http://{figure2.WEB_SID}:{figure2.WEB_PORT}/whoami
  {control}
  {control.replace(' status', f' explain {fabric.lab.addresses("c1a")[0]} web')}
  sqlite3 -readonly {fabric.fabric['controller']['database']} 'select * from bindings limit 5'
Configuration and logs: {fabric.lab.folder}
The end: scripts/lab down --name {name}""")


def interrupted(number, _):
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="scripts/demo", description="The draft's Figures 2 and 4 at work.")
    parser.add_argument("--json", metavar="FILE", help="write the steps and their figures")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    parser.add_argument("--name", default="demo", help="the lab's name (default: demo)")
    arguments = parser.parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    narrator = Narrator()
    labs = []

    def up(name, title, layout):
        narrator.title(title)
        begun = time.monotonic()
        labs.append(Lab.up(topology.load(layout.TOPOLOGY), name))
        narrator.say(f"{len(labs[-1].topology.nodes)} hosts (network namespaces), {len(labs[-1].topology.links)} links, "
                     f"an Open vSwitch on each D-Router and D-Forwarder; {time.monotonic() - begun:.1f} s")
        return labs[-1]

    try:
        first = Fabric(up(arguments.name, "The lab: clients, two D-Routers, a routed infrastructure, two edges", figure2))
        run_steps(FIGURE2, first, narrator)
        if not arguments.keep:
            labs.pop().down()
        second = up(arguments.name + "-4", "The lab of the second act: a D-Forwarder close to the clients", figure4)
        run_steps(FIGURE4, Fabric(second, fabric=figure4.fabric(second), layout=figure4), narrator)
        narrator.summary()
        if arguments.keep:
            keep_message(first)
            print(f"The second act's: scripts/lab down --name {second.name}")
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        narrator.record("lab", False, {"reason": str(error)}, 0)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        narrator.record("interrupted", False, {}, 0)
    finally:
        if not (arguments.keep and narrator.steps and narrator.steps[-1]["name"] != "interrupted"):
            for lab in labs:
                lab.down()
    written = not arguments.json or narrator.write(arguments.json)
    return 0 if narrator.ok() and written else 1
