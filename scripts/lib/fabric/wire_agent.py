"""A metric agent whose instances say what a test wants: capacities, loads, which are there. Speaks the wire format
of docs/wire.md, compiled from its schema at start. Runs in a node of the lab as a process of its own.

Usage: wire_agent.py SCHEMA_FOLDER ENDPOINT STATE_FILE. The state file is JSON, read again whenever it changes:
  {"agent": NAME, "number": N, "instances": {NAME: {"service", "bid", "capacity", "load", "health"}},
   "change": {"every_ms": 100, "times": 1000, "seed": 1, "what": "load" or "capacity"}}
`change` gives every instance a new random figure that often; 'changed N' tells how often it did so. Each change of
the file is answered by a line 'state N' once it has been published.
"""

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import zmq

HEARTBEAT_MS = 200
HEARTBEAT_SAID_MS = 5000  # far more often than promised: on a slow machine the agent must not seem silent
REPORT_MS = 200
LOOK_MS = 10


def load_schema(folder):
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(["protoc", f"--proto_path={folder}", f"--python_out={made}", "dyncast.proto"], check=True)
        sys.path.insert(0, made)
        return importlib.import_module("dyncast_pb2")


class Agent:
    def __init__(self, schema, endpoint, state_file):
        self.schema = schema
        self.state_file = state_file
        self.epoch = time.time_ns() // 1000
        self.sequence = 0
        self.state = {}
        self.stamp = None
        self.told = None
        self.changed = 0
        self.random = random.Random(0)
        # XPUB: waits for the subscription, since what is sent before it is lost.
        self.socket = zmq.Context().socket(zmq.XPUB)
        self.socket.setsockopt(zmq.SNDHWM, 100000)
        self.socket.connect(endpoint)

    def send(self, kind, fill):
        envelope = self.schema.Envelope(agent=self.state["agent"], boot_epoch=self.epoch, sequence=self.sequence,
                                        sent_at_us=time.time_ns() // 1000)
        self.sequence += 1
        fill(getattr(envelope, kind))
        self.socket.send_multipart([f"{kind}/{self.state['agent']}".encode(), envelope.SerializeToString()])

    def heartbeat(self):
        def fill(body):
            body.interval_ms = HEARTBEAT_SAID_MS

        self.send("heartbeat", fill)

    def announce(self, name, instance):
        def fill(body):
            body.instance, body.service, body.bid = name, instance["service"], instance["bid"]
            body.capacity.requests_per_s = instance.get("capacity", 1)
            body.health = instance.get("health", self.schema.HEALTH_UP)

        self.send("announce", fill)

    def report(self, name, instance):
        def fill(body):
            body.instance = name
            metric = body.metrics.add()
            metric.name, metric.value, metric.unit = "utilization", instance.get("load", 0.0), "ratio"

        self.send("report", fill)

    def withdraw(self, name):
        def fill(body):
            body.instance, body.reason = name, "gone"

        for _ in range(3):
            self.send("withdraw", fill)

    def look(self):
        """Reads the state file if it is a new one."""
        status = os.stat(self.state_file)
        if (status.st_ino, status.st_mtime_ns) == self.stamp:
            return False
        self.stamp = (status.st_ino, status.st_mtime_ns)
        with open(self.state_file, encoding="utf-8") as file:
            new = json.load(file)
        gone = self.state.get("instances", {}).keys() - new["instances"].keys()
        if new.get("change") != self.state.get("change"):
            self.changed = 0
            self.random = random.Random(new.get("change", {}).get("seed", 0))
        self.state = new
        for name in gone:
            self.withdraw(name)
        return True

    def publish(self):
        for name, instance in self.state["instances"].items():
            self.announce(name, instance)
            self.report(name, instance)

    def change(self):
        what = self.state["change"]["what"]
        for name, instance in self.state["instances"].items():
            if what == "load":
                instance["load"] = round(self.random.uniform(0.0, 0.95), 3)
                self.report(name, instance)
            else:
                instance["capacity"] = round(self.random.uniform(1, 20), 3)
                self.announce(name, instance)
        self.changed += 1
        print(f"changed {self.changed}", flush=True)

    def stop(self, *_):
        for name in self.state.get("instances", {}):
            self.withdraw(name)
        self.socket.close(linger=1000)
        sys.exit(0)

    def run(self):
        signal.signal(signal.SIGTERM, self.stop)
        self.look()
        self.socket.recv()
        due = {"heartbeat": 0.0, "publish": 0.0, "change": 0.0}
        while True:
            now = time.monotonic() * 1000
            if self.look() or now >= due["publish"]:
                self.publish()
                due["publish"] = now + REPORT_MS
            if self.state["number"] != self.told:
                self.told = self.state["number"]
                print(f"state {self.told}", flush=True)
            if now >= due["heartbeat"]:
                self.heartbeat()
                due["heartbeat"] = now + HEARTBEAT_MS
            change = self.state.get("change")
            if change and self.changed < change["times"] and now >= due["change"]:
                self.change()
                due["change"] = max(due["change"] + change["every_ms"], now - change["every_ms"])
            if self.socket.poll(LOOK_MS, zmq.POLLIN):
                self.socket.recv()  # a controller came or went


if __name__ == "__main__":
    Agent(load_schema(sys.argv[1]), sys.argv[2], sys.argv[3]).run()
