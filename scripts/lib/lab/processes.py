"""Processes of a lab: started inside a node, known by PID and start time, ended by those only."""

import os
import signal
import subprocess

from . import journal
from .errors import LabError
from .waiting import wait_until

CGROUP_ROOTS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")


def start_time(pid):
    """Clock ticks since boot at which the process began, or None if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(pid, started):
    return started is not None and start_time(pid) == started


def send_signal(pid, started, number):
    """Through a pidfd, so that a reused PID is never hit. False if the process is gone."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not alive(pid, started):
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def end(pids, grace_s=5.0):
    """Ends processes, a list of (pid, start time): asks first, then insists."""
    pids = [(pid, started) for pid, started in pids if send_signal(pid, started, signal.SIGTERM)]
    for pid, started in pids:
        send_signal(pid, started, signal.SIGCONT)
    gone = lambda: not any(alive(*p) for p in pids)
    try:
        wait_until(gone, grace_s, "")
        return
    except LabError:
        pass
    for pid, started in pids:
        send_signal(pid, started, signal.SIGKILL)
    wait_until(gone, 5.0, lambda: f"processes {[p for p in pids if alive(*p)]} do not end")


def cgroup_root():
    """Where cgroup v2 is mounted, or None."""
    for root in CGROUP_ROOTS:
        if os.path.exists(os.path.join(root, "cgroup.controllers")):
            return root
    return None


def cgroup_path(lab, name):
    root = cgroup_root()
    return os.path.join(root, f"dyncast-lab-{lab}", name) if root else None


def make_cgroup(lab, name):
    """A folder per edge: cpu.stat there counts what its processes use. None without cgroup v2."""
    path = cgroup_path(lab, name)
    if path is None:
        return None
    journal.append(lab, {"kind": "cgroup", "path": path})
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise LabError(f"cgroup {path} cannot be made: {error}") from None
    return path


def remove_cgroup(path):
    for folder in (path, os.path.dirname(path)):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            # The parent goes with the last of its children.
            if folder == path:
                raise LabError(f"cgroup {path} cannot be removed: {error}") from None


def command_in(namespace, cgroup, argv):
    """The command line that runs `argv` in a network namespace and a cgroup.

    nsenter, not `ip netns exec`: that one hides /sys, and with it the cgroups that an agent reads.
    """
    command = ["nsenter", f"--net=/run/netns/{namespace}", "--", *argv]
    if cgroup:
        join = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        command = ["sh", "-c", join, cgroup, *command]
    return command


class Process:
    """A background process of a lab; its output goes to the lab's logs/NAME.log."""

    def __init__(self, popen, name, log, started):
        self.popen = popen
        self.name = name
        self.log = log
        self.pid = popen.pid
        self.started = started

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        send_signal(self.pid, self.started, number)

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, timeout_s=10.0):
        """SIGTERM; the exit status. LabError if it does not end."""
        if self.running():
            self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s):
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} (PID {self.pid}) still runs after {timeout_s:g} s") from None

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_output(self, text, timeout_s=10.0):
        def seen():
            if text in self.output():
                return True
            if not self.running():
                tail = "\n".join(self.output().splitlines()[-15:])
                raise LabError(f"{self.name} ended with status {self.popen.returncode}:\n{tail}")
            return False

        wait_until(seen, timeout_s, f"'{text}' in the output of {self.name}, see {self.log}")


def start(lab, namespace, cgroup, name, argv, env=None, log_name=None, append=False):
    """Starts `argv` in the background and records it."""
    log = os.path.join(journal.folder(lab), "logs", f"{log_name or name}.log")
    with open(log, "ab" if append else "wb") as out:
        try:
            popen = subprocess.Popen(
                command_in(namespace, cgroup, argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )
        except OSError as error:
            raise LabError(f"{name}: {argv[0]} cannot be started: {error}") from None
    started = start_time(popen.pid)
    journal.append(lab, {"kind": "process", "name": name, "pid": popen.pid, "start": started})
    return Process(popen, name, log, started)
