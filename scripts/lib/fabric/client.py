"""dyncast-load in a client's node: started, watched, and its report read."""

import json
import os

from lab.errors import LabError
from lab.lab import program
from lab.waiting import wait_until


class Load:
    """One running dyncast-load."""

    def __init__(self, process, stop_file):
        self.process = process
        self.stop_file = stop_file

    def lines(self):
        result = []
        for line in self.process.output().splitlines():
            if line.startswith("{"):
                try:
                    result.append(json.loads(line))
                except ValueError:
                    pass  # the last line may not be whole yet
        return result

    def progress(self):
        """The newest line; an empty report before the first."""
        lines = self.lines()
        return lines[-1] if lines else {"requests": 0, "failed": 0, "connections": 0, "open": 0, "instances": {}}

    def wait_progress(self, condition, timeout_s, what):
        """Until `condition(newest line)` holds; that line."""

        def look():
            newest = self.progress()
            if condition(newest):
                return newest
            if not self.process.running():
                raise LabError(f"{self.process.name} ended before {what}: {self.process.output()[-500:]}")
            return None

        return wait_until(look, timeout_s, lambda: f"{what}; last seen {self.progress()}")

    def finish(self, timeout_s=60):
        """Asks it to stop, and returns its report."""
        with open(self.stop_file, "w", encoding="utf-8"):
            pass
        return self.report(timeout_s)

    def report(self, timeout_s=120):
        status = self.process.wait(timeout_s)
        reports = [line for line in self.lines() if line["event"] == "report"]
        if not reports:
            raise LabError(f"{self.process.name}: no report, status {status}: {self.process.output()[-500:]}")
        return reports[-1]


class Clients:
    """Starts loads with names of their own."""

    def __init__(self, lab):
        self.lab = lab
        self.count = 0

    def start(self, node, targets, *, connections=1, requests=0, rate=0, sources=0, addresses=(), new_connections=False,
              path="/", seconds=0, timeout_ms=2000, progress_ms=50):
        """`sources`: bind to so many of the node's addresses, or to `addresses`. Without a limit it runs until finish()."""
        self.count += 1
        name = f"load{self.count}-{node}"
        stop_file = self.lab.path(f"{name}.stop")
        argv = [program("dyncast-load"), "--target", ",".join(targets), "--connections", str(connections),
                "--path", path, "--timeout-ms", str(timeout_ms), "--progress-ms", str(progress_ms),
                "--until-file", stop_file]
        if requests:
            argv += ["--requests", str(requests)]
        if seconds:
            argv += ["--seconds", str(seconds)]
        if rate:
            argv += ["--rate", str(rate)]
        if sources:
            addresses = self.lab.addresses(node)[:sources]
            if len(addresses) < sources:
                raise LabError(f"{node} has {len(addresses)} addresses, not {sources}")
        if addresses:
            argv += ["--bind-source", ",".join(addresses)]
        if new_connections:
            argv.append("--new-connection-per-request")
        if os.path.exists(stop_file):
            os.unlink(stop_file)
        return Load(self.lab.start(node, name, argv), stop_file)

    def run(self, node, targets, **options):
        """To the end of its requests; the report."""
        if not options.get("requests") and not options.get("seconds"):
            raise LabError("a load that is waited for needs requests or seconds")
        options.setdefault("progress_ms", 0)
        return self.start(node, targets, **options).report()
