"""An application that posts ORCA load reports to the agent's socket, one connection for all of them.

Usage: load_posts.py SOCKET INSTANCE EVERY_MS COUNT VALUE,... LAST
Posts COUNT times, every EVERY_MS, the next of the values as application_utilization, then LAST once. Writes
{"posted": N, "refused": N, "began": UNIX_S, "last_at": UNIX_S}.
"""

import itertools
import json
import socket
import sys
import time


class Connection:
    def __init__(self, path, instance):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._head = (f"POST /v1/load/{instance} HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
                      "Content-Length: ")

    def post(self, value):
        """The answer's status."""
        body = json.dumps({"application_utilization": value})
        self._socket.sendall(f"{self._head}{len(body)}\r\n\r\n{body}".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            got = self._socket.recv(4096)
            if not got:
                raise ConnectionError("the agent has closed the connection")
            answer += got
        return int(answer.split()[1])


def main():
    path, instance, every_ms, count, values, last = sys.argv[1:]
    connection = Connection(path, instance)
    refused = 0
    began = time.time()
    next_at = time.monotonic()
    for value, _ in zip(itertools.cycle([float(v) for v in values.split(",")]), range(int(count))):
        refused += connection.post(value) != 204
        next_at += int(every_ms) / 1000
        time.sleep(max(0, next_at - time.monotonic()))  # lint: sleep the application's own pace
    last_at = time.time()
    refused += connection.post(float(last)) != 204
    print(json.dumps({"posted": int(count) + 1, "refused": refused, "began": began, "last_at": last_at}))


if __name__ == "__main__":
    main()
