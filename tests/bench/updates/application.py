"""The instances' application: a page of metrics at each address, whose utilisation takes steps by a timetable. Runs in a
node of the lab; writes what happened and when, a JSON object a line:
  {"step": INSTANCE, "at": UNIX_S, "value": V}    from now on the page says V
  {"seen": INSTANCE, "at": UNIX_S, "value": V}    the page with it was asked for for the first time

Usage: application.py PLAN_FILE LOG_FILE; the plan is JSON: {"port": P, "instances": {NAME: [ADDRESS, VALUE]},
"steps": [[SECONDS, NAME, VALUE], ...]}, in order. A new plan takes effect as the file is replaced.
"""

import heapq
import json
import os
import selectors
import socket
import sys
import time

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text\r\nConnection: close\r\nContent-Length: {}\r\n\r\n"
LOOK_S = 0.05


class Application:
    def __init__(self, plan_file, log_file):
        self.plan_file = plan_file
        self.log = open(log_file, "a", encoding="utf-8", buffering=1)
        self.selector = selectors.DefaultSelector()
        self.values = {}
        self.unseen = set()
        self.steps = []
        self.stamp = None
        self.listening = {}
        self.look()

    def look(self):
        status = os.stat(self.plan_file)
        if (status.st_ino, status.st_mtime_ns) == self.stamp:
            return
        self.stamp = (status.st_ino, status.st_mtime_ns)
        with open(self.plan_file, encoding="utf-8") as file:
            plan = json.load(file)
        for name, (address, value) in plan["instances"].items():
            self.values.setdefault(name, value)
            if name not in self.listening:
                self.listening[name] = self.listen(address, plan["port"], name)
        began = time.monotonic()
        self.steps = [(began + at, name, value) for at, name, value in plan["steps"]]
        heapq.heapify(self.steps)

    def listen(self, address, port, name):
        listener = socket.create_server((address, port), backlog=128)
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, (self.accept, name))
        return listener

    def accept(self, listener, name):
        connection, _ = listener.accept()
        connection.setblocking(False)
        self.selector.register(connection, selectors.EVENT_READ, (self.answer, name))

    def answer(self, connection, name):
        """A whole request comes at once here; a health check asks nothing and goes."""
        asked = time.time()
        try:
            if connection.recv(4096):
                body = f"# TYPE utilization gauge\nutilization {self.values[name]}\n# EOF\n"
                connection.sendall((HEAD.format(len(body)) + body).encode())
                if name in self.unseen:
                    self.unseen.discard(name)
                    self.tell({"seen": name, "at": asked, "value": self.values[name]})
        except OSError:
            pass
        self.selector.unregister(connection)
        connection.close()

    def tell(self, what):
        self.log.write(json.dumps(what) + "\n")

    def run(self):
        print("ready", flush=True)
        while True:
            left = self.steps[0][0] - time.monotonic() if self.steps else LOOK_S
            for key, _ in self.selector.select(max(0.0, min(LOOK_S, left))):
                handle, name = key.data
                handle(key.fileobj, name)
            while self.steps and self.steps[0][0] <= time.monotonic():
                _, name, value = heapq.heappop(self.steps)
                self.values[name] = value
                self.unseen.add(name)
                self.tell({"step": name, "at": time.time(), "value": value})
            self.look()


if __name__ == "__main__":
    Application(sys.argv[1], sys.argv[2]).run()
