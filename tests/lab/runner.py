"""Finds the scenarios, runs each in a lab of its own, and checks what must hold at the end of every one.

A scenario is a function test_* in scenarios/*_test.py that takes a Case. Its marks (decorator `scenario`)
say which lab it wants and which warnings belong to it.
"""

import argparse
import importlib
import os
import pkgutil
import signal
import sys
import time
import traceback

from case import Case
from lab import journal
from lab.errors import LabError
from lab.lab import down, remains


def discover():
    import scenarios

    found = []
    for module_info in sorted(pkgutil.iter_modules(scenarios.__path__), key=lambda m: m.name):
        if not module_info.name.endswith("_test"):
            continue
        module = importlib.import_module(f"scenarios.{module_info.name}")
        found += [function for name, function in vars(module).items()
                  if name.startswith("test_") and callable(function)]
    return found


def name_of(function):
    return function.__name__.removeprefix("test_").replace("_", "-")


def run_one(function, arguments):
    """None if it passed, else the reason."""
    keep = arguments.keep
    case = Case(name_of(function), getattr(function, "wants", {}), arguments.full)
    problem = None
    try:
        function(case)
        case.check_end()
    except (AssertionError, LabError) as error:
        problem = str(error) or traceback.format_exc(limit=-2)
        if not str(error):
            problem = traceback.format_exc(limit=-2)
    except KeyboardInterrupt:
        case.end()
        raise
    except Exception:  # a fault of the scenario itself must not hide the other scenarios
        problem = traceback.format_exc()
    if problem:
        problem += case.log_tails()
    if problem and keep:
        print(f"  labs kept: {', '.join(lab.name for lab in case.labs)}")
        return problem
    try:
        case.end()
    except LabError as error:
        problem = (problem or "") + f"\n{error}"
    left = [item for lab in case.labs for item in remains(lab.name)]
    if left:
        problem = (problem or "") + f"\nleft behind: {left}"
    return problem


def interrupted(number, _):
    raise KeyboardInterrupt(signal.Signals(number).name)


def main():
    parser = argparse.ArgumentParser(prog="tests/lab/run", description="Scenarios with real switches and traffic.")
    parser.add_argument("scenario", nargs="*", help="names or parts of names; default: all")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--full", action="store_true", help="full scale: minutes, and the figures of docs/performance.md")
    parser.add_argument("--keep", action="store_true", help="leave the lab of a scenario that failed")
    arguments = parser.parse_args()
    functions = discover()
    if arguments.scenario:
        functions = [f for f in functions if any(part in name_of(f) for part in arguments.scenario)]
    if arguments.list:
        for function in functions:
            print(f"{name_of(function):<58}{(function.__doc__ or '').strip().splitlines()[0]}")
        return 0
    if not functions:
        print("lab: no such scenario", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, interrupted)
    failed = []
    for function in functions:
        name = name_of(function)
        begun = time.monotonic()
        print(f"[ run    ] {name}", flush=True)
        problem = run_one(function, arguments)
        took = time.monotonic() - begun
        print(f"[ {'FAILED' if problem else 'passed'} ] {name} ({took:.1f} s)", flush=True)
        if problem:
            failed.append(name)
            print("\n".join(f"    {line}" for line in problem.splitlines()), flush=True)
            if arguments.keep:
                break
    for name in journal.labs():
        if not (failed and arguments.keep) and name.startswith(f"t{os.getpid()}-"):
            down(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    print(f"lab: {len(functions) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0
