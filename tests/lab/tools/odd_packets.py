"""Frames that nobody should send, to a D-SID from an access port. JSON: how many of each kind were sent.

Usage: odd_packets.py INTERFACE GATEWAY_MAC CLIENT SID PORT COUNT KIND[=SOURCE]...   (both families)
KIND: spoofed (from SOURCE), checksum, udp-checksum, version, header-length, total-length, tcp-offset, ttl-0,
options, source-port-0, tiny-fragment, overlap, last-fragment, icmp-error, truncated, extension, multicast, loopback
"""

import ipaddress
import json
import socket
import struct
import sys

UDP, TCP = 17, 6


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def pseudo(source, sid, proto, length):
    if ":" in sid:
        return packed(source) + packed(sid) + struct.pack("!IHBB", length, 0, 0, proto)
    return packed(source) + packed(sid) + struct.pack("!BBH", 0, proto, length)


def udp(source, sid, port, payload=b"odd", source_port=40000, wrong=0):
    head = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0)
    found = checksum(pseudo(source, sid, UDP, len(head + payload)) + head + payload) or 0xFFFF
    return head[:6] + struct.pack("!H", found ^ wrong) + payload


def tcp(source, sid, port, offset=5, source_port=40001):
    head = struct.pack("!HHIIBBHHH", source_port, port, 1, 0, offset << 4, 2, 8192, 0, 0)
    found = checksum(pseudo(source, sid, TCP, len(head)) + head)
    return head[:16] + struct.pack("!H", found) + head[18:]


def ip(source, sid, proto, payload, *, ttl=64, version=None, ihl=5, total=None, options=b"", fragment=0, wrong=0):
    if ":" in sid:
        length = len(payload) if total is None else total
        return struct.pack("!IHBB", (version or 6) << 28, length, proto, ttl) + packed(source) + packed(sid) + payload
    total = 4 * ihl + len(payload) if total is None else total
    head = struct.pack("!BBHHHBBH", (version or 4) << 4 | ihl, 0, total, 4711, fragment, ttl, proto, 0)
    head += packed(source) + packed(sid) + options
    return head[:10] + struct.pack("!H", checksum(head) ^ wrong) + head[12:] + payload


def fragment6(proto, offset_octets, more, identification=4711):
    return struct.pack("!BBHI", proto, 0, offset_octets | more, identification)


def fragments(kind, source, sid, port):
    whole = udp(source, sid, port, b"f" * 64)
    pieces = {"tiny-fragment": [(0, 1, whole[:8])], "last-fragment": [(64, 0, whole[:8])],
              "overlap": [(0, 1, whole[:48]), (40, 0, whole[32:])]}[kind]
    if ":" in sid:
        return [ip(source, sid, 44, fragment6(UDP, at, more) + piece) for at, more, piece in pieces]
    return [ip(source, sid, UDP, piece, fragment=more << 13 | at // 8) for at, more, piece in pieces]


def icmp_error(source, sid):
    """'Too big' about a packet that nobody sent, and one that quotes almost nothing."""
    quotes = [ip(sid, source, UDP, udp(sid, source, 40000)), b"\x45\x00"]
    result = []
    for quote in quotes:
        if ":" in sid:
            body = struct.pack("!BBHI", 2, 0, 0, 1280) + quote
            found = checksum(pseudo(source, sid, 58, len(body)) + body)
            result.append(ip(source, sid, 58, body[:2] + struct.pack("!H", found) + body[4:]))
        else:
            body = struct.pack("!BBHHH", 3, 4, 0, 0, 576) + quote
            result.append(ip(source, sid, 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:]))
    return result


def packets(kind, source, sid, port):
    v6 = ":" in sid
    good = udp(source, sid, port)
    simple = {
        "spoofed": lambda: ip(source, sid, UDP, good),
        "checksum": lambda: ip(source, sid, UDP, good, wrong=0 if v6 else 0x1234),
        "udp-checksum": lambda: ip(source, sid, UDP, udp(source, sid, port, wrong=0x4321)),
        "version": lambda: ip(source, sid, UDP, good, version=5),
        "header-length": lambda: ip(source, sid, UDP, good, **({} if v6 else {"ihl": 3})),
        "total-length": lambda: ip(source, sid, UDP, good, total=1400),
        "tcp-offset": lambda: ip(source, sid, TCP, tcp(source, sid, port, offset=2)),
        "ttl-0": lambda: ip(source, sid, UDP, good, ttl=0),
        "options": lambda: ip(source, sid, UDP, good, **({} if v6 else {"ihl": 6, "options": b"\x01\x01\x01\x00"})),
        "source-port-0": lambda: ip(source, sid, UDP, udp(source, sid, port, source_port=0)),
        "truncated": lambda: ip(source, sid, UDP, good)[:24],
        "extension": lambda: ip(source, sid, 0, bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + good),
        "multicast": lambda: ip("ff02::1" if v6 else "224.0.0.1", sid, UDP, good),
        "loopback": lambda: ip("::1" if v6 else "127.0.0.1", sid, UDP, good),
    }
    if kind in simple:
        return [simple[kind]()]
    return icmp_error(source, sid) if kind == "icmp-error" else fragments(kind, source, sid, port)


def main(interface, gateway, client, sid, port, count, *kinds):
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((interface, 0))
    own = wire.getsockname()[4]
    kind_of = b"\x86\xdd" if ":" in sid else b"\x08\x00"
    head = bytes.fromhex(gateway.replace(":", "")) + own + kind_of
    sent = {}
    for word in kinds:
        kind, _, source = word.partition("=")
        for packet in packets(kind, source or client, sid, int(port)) * int(count):
            wire.send(head + packet)
            sent[word] = sent.get(word, 0) + 1
    print(json.dumps(sent))


if __name__ == "__main__":
    main(*sys.argv[1:])
