"""What nobody but a switch of the fabric should send: Geneve to a tunnel's endpoint. JSON: how many were sent.

Usage: geneve.py COUNT SOURCE ENDPOINT KIND SERVICE INSTANCE CLIENT SID PORT
Outer packet from SOURCE, which need not be the sender's own, to ENDPOINT. KIND: 0 hello, 1 miss, 2 binding info, or
any other number. Within is a UDP packet from CLIENT to (SID, PORT); binding info is about its 5-tuple and INSTANCE.
"""

import ipaddress
import json
import socket
import struct
import sys

from odd_packets import ip, udp

GENEVE, OPTION_CLASS, ETHERNET = 6081, 0xFF01, 0x6558
SOURCE_PORT = 40000


def option(kind, data):
    return struct.pack("!HBB", OPTION_CLASS, kind, len(data) // 4) + data


def options(kind, service, instance, client, port):
    told = option(1, struct.pack("!BBH", kind, 0, service))
    if kind == 2:
        packed = ipaddress.ip_address(client).packed
        told += option(2, struct.pack("!III", instance, 17 | (0x100 if len(packed) == 16 else 0), SOURCE_PORT << 16 | port))
        told += option(3, packed.ljust(16, b"\0"))
    return told


def main():
    count, source, endpoint, kind, service, instance, client, sid, port = sys.argv[1:]
    told = options(int(kind), int(service), int(instance), client, int(port))
    frame = bytes.fromhex("020000000001" "020000000002") + struct.pack("!H", 0x86DD if ":" in sid else 0x0800)
    frame += ip(client, sid, 17, udp(client, sid, int(port), source_port=SOURCE_PORT))
    geneve = struct.pack("!BBHI", len(told) // 4, 0, ETHERNET, 0) + told + frame
    outer = ip(source, endpoint, 17, struct.pack("!HHHH", 50000, GENEVE, 8 + len(geneve), 0) + geneve)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        for _ in range(int(count)):
            sender.sendto(outer, (endpoint, 0))
    print(json.dumps({"sent": int(count)}))


if __name__ == "__main__":
    main()
