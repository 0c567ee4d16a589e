"""scripts/lab: the command line."""

import argparse
import json
import os
import signal
import sys

from . import journal, netns, processes, topology
from .errors import LabError
from .lab import Lab, down


def chosen(name):
    """The lab that is meant when none is named: the only one."""
    if name:
        if not journal.exists(name):
            raise LabError(f"no lab named {name}; there are: {', '.join(journal.labs()) or 'none'}")
        return name
    labs = journal.labs()
    if len(labs) != 1:
        raise LabError("no lab is up" if not labs else f"say which lab: --name, one of {', '.join(labs)}")
    return labs[0]


def command_up(arguments):
    lab = Lab.up(topology.load(arguments.topology), arguments.name)
    print(f"lab {lab.name} is up: {len(lab.topology.nodes)} nodes, {len(lab.topology.links)} links")
    show(status(lab.name))
    print(f"next: scripts/lab exec --name {lab.name} NODE -- COMMAND; scripts/lab down --name {lab.name}")
    return 0


def status(name):
    document = journal.document(name)
    steps = {entry["kind"] for entry in journal.entries(name)}
    running = [{"name": e["name"], "pid": e["pid"], "alive": processes.alive(e["pid"], e["start"])}
               for e in journal.entries(name, "process")]
    return {"name": name, "state": "up" if "up" in steps else "incomplete", "folder": journal.folder(name),
            "nodes": document.get("nodes", {}), "processes": running}


def show(state):
    print(f"{'node':<13}{'kind':<12}{'management':<18}interfaces")
    for name, node in state["nodes"].items():
        interfaces = []
        for interface, addresses in node["interfaces"].items():
            few = addresses[:2] + ([f"and {len(addresses) - 2} more"] if len(addresses) > 2 else [])
            interfaces.append(f"{interface} ({', '.join(few)})" if few else interface)
        print(f"{name:<13}{node['kind']:<12}{node['management'] or '-':<18}{', '.join(interfaces)}")


def command_status(arguments):
    state = status(chosen(arguments.name))
    if arguments.json:
        print(json.dumps(state, indent=1))
    else:
        print(f"lab {state['name']}: {state['state']}, files in {state['folder']}")
        show(state)
        for process in state["processes"]:
            print(f"{'running' if process['alive'] else 'ended':<9}{process['pid']:>8}  {process['name']}")
    broken = state["state"] != "up"
    return 1 if broken else 0


def command_exec(arguments):
    name = chosen(arguments.name)
    node = journal.document(name).get("nodes", {}).get(arguments.node)
    if node is None:
        raise LabError(f"lab {name} has no node {arguments.node}")
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise LabError("say what to run: scripts/lab exec NODE -- COMMAND")
    cgroup = processes.cgroup_path(name, node["cgroup"]) if node["cgroup"] else None
    if node["kind"] == "switch":
        folder = os.path.join(journal.folder(name), arguments.node)
        for key in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"):
            os.environ[key] = folder
    line = processes.command_in(netns.name_of(name, arguments.node), cgroup, command)
    sys.stdout.flush()
    try:
        os.execvp(line[0], line)
    except OSError as error:
        raise LabError(f"{command[0]}: {error}") from None


def command_down(arguments):
    names = journal.labs() if arguments.all else [chosen(arguments.name)]
    for name in names:
        down(name)
        print(f"lab {name} is gone")
    return 0


def command_list(_):
    for name in journal.labs():
        print(name)
    return 0


def command_check(arguments):
    top = topology.load(arguments.topology)
    print(f"{arguments.topology}: {len(top.nodes)} nodes, {len(top.links)} links: fine")
    return 0


def interrupted(number, _):
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="scripts/lab", description="Fabrics of network namespaces on one machine.")
    commands = parser.add_subparsers(dest="what", required=True)

    def add(name, function, text, *, named=True):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if named:
            sub.add_argument("--name", help="which lab; default: the topology's name, or the only lab")
        return sub

    up = add("up", command_up, "make a lab from a topology")
    up.add_argument("topology", help="a YAML file; tests/lab/topologies/ has examples")
    run = add("exec", command_exec, "run a command in a node")
    run.add_argument("node")
    run.add_argument("command", nargs=argparse.REMAINDER)
    show_status = add("status", command_status, "what is there")
    show_status.add_argument("--json", action="store_true")
    end = add("down", command_down, "remove a lab and all that runs in it")
    end.add_argument("--all", action="store_true", help="every lab of this machine")
    add("list", command_list, "names of the labs", named=False)
    check = add("check", command_check, "validate a topology, make nothing", named=False)
    check.add_argument("topology")
    arguments = parser.parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        return arguments.function(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; nothing is left", file=sys.stderr)
        return 130
