"""A second subscriber, bound as a controller's is: notes when each report reaches it. Runs in a node of the lab.

Usage: report_tap.py SCHEMA_FOLDER ENDPOINT LOG_FILE. A line for each report: {"report": INSTANCE, "sent": UNIX_S, "at": UNIX_S,
"utilization": V}; `sent` is the agent's own time in the message.
"""

import json
import os
import sys
import time

import zmq

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from fabric.wire_agent import load_schema  # noqa: E402

PROGRAM = os.path.abspath(__file__)


def main():
    schema = load_schema(sys.argv[1])
    socket = zmq.Context().socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"report/")
    socket.bind(sys.argv[2])
    print("ready", flush=True)
    with open(sys.argv[3], "a", encoding="utf-8", buffering=1) as log:
        while True:
            _, body = socket.recv_multipart()
            at = time.time()
            envelope = schema.Envelope.FromString(body)
            for metric in envelope.report.metrics:
                if metric.name == "utilization" and metric.level == schema.LEVEL_0:
                    log.write(json.dumps({"report": envelope.report.instance, "sent": envelope.sent_at_us / 1e6,
                                          "at": at, "utilization": metric.value}) + "\n")


if __name__ == "__main__":
    main()
