"""TCP transfers of known content.

Usage: transfer.py serve ADDRESS PORT                              writes 'ready'; ends with its node
       transfer.py up|down ADDRESS PORT OCTETS [SOURCE]            to or from a server: JSON
"""

import hashlib
import json
import random
import socket
import struct
import sys
import threading
import time

TIMEOUT_S = 30


def content(octets):
    return random.Random(octets).randbytes(octets)


def receive(connection, octets):
    parts = []
    while octets > 0:
        part = connection.recv(min(octets, 1 << 20))
        if not part:
            raise ConnectionError("ended early")
        parts.append(part)
        octets -= len(part)
    return b"".join(parts)


def answer(connection):
    with connection:
        connection.settimeout(TIMEOUT_S)
        try:
            direction, octets = struct.unpack("!4sI", receive(connection, 8))
            if direction == b"up  ":
                connection.sendall(hashlib.sha256(receive(connection, octets)).digest())
            else:
                connection.sendall(content(octets))
        except OSError:
            pass  # the client sees it


def serve(address, port):
    listener = socket.create_server((address, port), family=family(address))
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def transfer(direction, address, port, octets, source=None):
    began = time.monotonic()
    result = {"direction": direction, "octets": octets, "whole": False}
    try:
        with socket.create_connection((address, port), TIMEOUT_S, (source, 0) if source else None) as connection:
            connection.sendall(struct.pack("!4sI", direction.ljust(4).encode(), octets))
            if direction == "up":
                connection.sendall(content(octets))
                result["whole"] = receive(connection, 32) == hashlib.sha256(content(octets)).digest()
            else:
                result["whole"] = receive(connection, octets) == content(octets)
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            result["retransmits"] = struct.unpack_from("=I", info, 100)[0]
    except OSError as error:
        result["error"] = str(error)
    result["seconds"] = round(time.monotonic() - began, 3)
    return result


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    print(json.dumps(transfer(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])))
