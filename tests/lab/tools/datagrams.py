"""UDP as an application sees it, errors included.

Usage: datagrams.py ask ADDRESS PORT COUNT OCTETS [SOURCE or - [WAIT]]   each from a socket of its own, waiting so many
                                                             seconds: who answered, as long
       datagrams.py error ADDRESS PORT TTL [SOURCE [SOURCE_PORT [OCTETS]]]    sends one, don't fragment; which ICMP error
                                                             the socket gets, from whom
"""

import contextlib
import json
import select
import socket
import struct
import sys

WAIT_S = 3
IP_RECVERR, IPV6_RECVERR = 11, 25
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DONT = 10, 23, 0


def open_socket(address, source=None, source_port=0):
    v6 = ":" in address
    sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    if source and source != "-":
        sock.bind((source, source_port))
    return sock, v6


def ask(address, port, count, octets, source=None, wait=WAIT_S):
    result = {"answered": 0, "short": 0, "instances": {}}
    # All stay open: the port of a closed one may be given out again, and the same port is the same flow.
    with contextlib.ExitStack() as sockets:
        for number in range(count):
            sock, v6 = open_socket(address, source)
            sockets.enter_context(sock)
            # Fragments, not path MTU discovery.
            sock.setsockopt(*((socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if v6 else (socket.IPPROTO_IP, IP_MTU_DISCOVER)),
                            PMTUDISC_DONT)
            sock.connect((address, port))
            question = (b"%d" % number).ljust(octets, b"q")
            sock.send(question)
            sock.settimeout(float(wait))  # 0: only what is there at once
            try:
                answer = sock.recv(65536)
            except OSError:
                continue
            name, _, rest = answer.partition(b"\n")
            if len(answer) != octets or rest != question[len(name) + 1:]:
                result["short"] += 1
                continue
            result["answered"] += 1
            result["instances"][name.decode()] = result["instances"].get(name.decode(), 0) + 1
    return result


def offender(data, v6):
    """sock_extended_err, and after it the address of whoever sent the error."""
    _, _, kind, code, _, info, _ = struct.unpack_from("=IBBBBII", data)
    at = 16 + (8 if v6 else 4)
    address = socket.inet_ntop(socket.AF_INET6 if v6 else socket.AF_INET, data[at:at + (16 if v6 else 4)])
    return {"type": kind, "code": code, "from": address, "info": info}


def error(address, port, ttl, source=None, source_port=0, octets=8):
    sock, v6 = open_socket(address, source, int(source_port))
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    sock.setsockopt(level, IPV6_RECVERR if v6 else IP_RECVERR, 1)
    sock.setsockopt(level, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, ttl)
    sock.connect((address, port))
    sock.send(b"question".ljust(int(octets), b"q"))
    readable, _, failed = select.select([sock], [], [sock], WAIT_S)
    if not readable and not failed:
        return {"type": None}
    try:
        _, ancillary, _, _ = sock.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return {"type": None, "answer": sock.recv(2048).decode(errors="replace")}
    for _, kind, data in ancillary:
        if kind == (IPV6_RECVERR if v6 else IP_RECVERR):
            return offender(data, v6)
    return {"type": None}


if __name__ == "__main__":
    numbers = 2 if sys.argv[1] == "ask" else 1
    plain = [int(word) for word in sys.argv[3:4 + numbers]]
    print(json.dumps({"ask": ask, "error": error}[sys.argv[1]](sys.argv[2], *plain, *sys.argv[4 + numbers:])))
