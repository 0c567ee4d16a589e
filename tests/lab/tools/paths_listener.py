"""What agents say of the network, for scenarios without a controller: binds, and writes each message `paths` as one
JSON line. Usage: paths_listener.py SCHEMA_FOLDER ENDPOINT"""

import json
import os
import sys

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts", "lib"))
from fabric.wire_agent import load_schema  # noqa: E402


def main():
    schema = load_schema(sys.argv[1])
    socket = zmq.Context().socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"paths/")
    socket.bind(sys.argv[2])
    print("ready", flush=True)
    while True:
        topic, body = socket.recv_multipart()
        envelope = schema.Envelope.FromString(body)
        paths = [{field.name: value for field, value in path.ListFields()} for path in envelope.paths.paths]
        print(json.dumps({"agent": topic.decode().split("/")[1], "sequence": envelope.sequence, "paths": paths}),
              flush=True)


if __name__ == "__main__":
    main()
