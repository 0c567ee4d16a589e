"""STAMP by scapy's own description of its packets (scapy.contrib.stamp), as the other end of an agent's sessions. Of
authenticated packets scapy has none: theirs is described here, with Python's hmac. KEY is a file, or -.

Usage: stamp_peer.py reflect ADDRESS PORT KEY [DROP]    answers until SIGTERM, then tells how many it got; every
                                                        DROP-th question is counted but not answered
       stamp_peer.py send ADDRESS PORT KEY COUNT [OCTETS [FIRST]]   asks, each question once the last is answered,
                                                        and tells what the answers said
       stamp_peer.py wrong ADDRESS PORT KEY KIND        sends a packet that must not be answered, then one that must
                                                        be: short, forged, replayed, other-mode
       stamp_peer.py many ADDRESS PORT KEY COUNT        so many in one session at once: how many were answered
"""

import hashlib
import hmac
import json
import os
import select
import signal
import socket
import sys
import time

from scapy.contrib.stamp import (ErrorEstimate, STAMPSessionReflectorTestUnauthenticated,
                                 STAMPSessionSenderTestUnauthenticated)
from scapy.fields import ByteField, IntField, NBytesField, PacketField, ShortField, StrFixedLenField
from scapy.layers.inet import UDP
from scapy.layers.ntp import TimeStampField
from scapy.packet import Packet, Raw

NTP_EPOCH = 2208988800
WAIT_S = 5
SSID = 4242
IP_RECVTTL, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 12, 51, 52


class AuthenticatedTest(Packet):
    """RFC 8762 section 4.2.2, with RFC 8972's SSID; without the HMAC."""
    fields_desc = [IntField("seq", 0), NBytesField("mbz1", 0, 12), TimeStampField("ts", 0),
                   PacketField("err_estimate", ErrorEstimate(), ErrorEstimate), ShortField("ssid", 0),
                   NBytesField("mbz2", 0, 68)]


class AuthenticatedReply(Packet):
    """RFC 8762 section 4.3.2, likewise."""
    fields_desc = [IntField("seq", 0), NBytesField("mbz1", 0, 12), TimeStampField("ts", 0),
                   PacketField("err_estimate", ErrorEstimate(), ErrorEstimate), ShortField("ssid", 0),
                   NBytesField("mbz2", 0, 4), TimeStampField("ts_rx", 0), NBytesField("mbz3", 0, 8),
                   IntField("seq_sender", 0), NBytesField("mbz4", 0, 12), TimeStampField("ts_sender", 0),
                   PacketField("err_estimate_sender", ErrorEstimate(), ErrorEstimate), NBytesField("mbz5", 0, 6),
                   ByteField("ttl_sender", 0), StrFixedLenField("mbz6", b"\0" * 15, 15)]


class Mode:
    """How packets look with or without a key."""

    def __init__(self, key_file):
        self.key = None
        if key_file != "-":
            with open(key_file, "rb") as file:
                self.key = file.read().rstrip(b"\n")
        self.octets = 112 if self.key else 44
        self.test = AuthenticatedTest if self.key else STAMPSessionSenderTestUnauthenticated
        self.reply = AuthenticatedReply if self.key else STAMPSessionReflectorTestUnauthenticated
        # Scapy's times are floating: what must be a copy is copied.
        self.test_time = slice(16, 24) if self.key else slice(4, 12)
        self.reply_time = slice(64, 72) if self.key else slice(28, 36)

    def sign(self, octets):
        return octets + hmac.new(self.key, octets, hashlib.sha256).digest()[:16] if self.key else octets

    def question(self, number, moment=None):
        return self.sign(bytes(self.test(seq=number, ts=(moment or time.time()) + NTP_EPOCH, ssid=SSID,
                                         err_estimate=ErrorEstimate(scale=22, multiplier=1))))

    def read(self, octets, kind):
        """The packet's base part as scapy reads it; None if it is short or its HMAC is wrong."""
        base = octets[:self.octets]
        if len(base) < self.octets:
            return None
        if self.key:
            return kind(base[:96]) if hmac.compare_digest(self.sign(base[:96]), base) else None
        return parse_unauthenticated(base, kind)


def parse_unauthenticated(base, kind):
    """Scapy wants to know the length of what a packet lies in."""
    ports = {"sport": 4000, "dport": 862} if kind is STAMPSessionSenderTestUnauthenticated else {"sport": 862, "dport": 4000}
    return UDP(bytes(UDP(**ports) / Raw(base)))[kind]


def open_socket(address, port=None):
    v6 = ":" in address
    sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    if v6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    if port is None:
        sock.settimeout(WAIT_S)
    else:
        sock.bind((address, port))
    return sock


def arrived_ttl(control):
    for level, kind, data in control:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, IPV6_HOPLIMIT)):
            return int.from_bytes(data[:4], sys.byteorder)
    return 255


def reflect(address, port, key_file, drop="0"):
    mode, counts, result = Mode(key_file), {}, {"taken": 0, "refused": 0, "answered": 0, "dropped": 0, "ssids": [],
                                                "octets": []}
    sock = open_socket(address, int(port))
    awake, wake = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(wake, b"x"))
    print("ready", flush=True)
    while awake not in select.select([sock, awake], [], [])[0]:
        octets, control, _, peer = sock.recvmsg(65536, 512)
        received = time.time()
        test = mode.read(octets, mode.test)
        if test is None:
            result["refused"] += 1
            continue
        result["taken"] += 1
        number = counts[peer] = counts.get(peer, -1) + 1
        result["ssids"] = sorted({*result["ssids"], test.ssid})
        result["octets"] = sorted({*result["octets"], len(octets)})
        if int(drop) and result["taken"] % int(drop) == 0:
            result["dropped"] += 1
            continue
        reply = bytearray(bytes(mode.reply(
            seq=number, ssid=test.ssid, ts=time.time() + NTP_EPOCH, ts_rx=received + NTP_EPOCH,
            err_estimate=ErrorEstimate(scale=22, multiplier=1), seq_sender=test.seq, err_estimate_sender=test.err_estimate,
            ttl_sender=arrived_ttl(control))))
        reply[mode.reply_time] = octets[mode.test_time]
        sock.sendto(mode.sign(bytes(reply)) + octets[mode.octets:], peer)
        result["answered"] += 1
    print(json.dumps(result), flush=True)


def send(address, port, key_file, count, octets="0", first="0"):
    mode, answers = Mode(key_file), []
    with open_socket(address) as sock:
        sock.connect((address, int(port)))
        for number in range(int(first), int(first) + int(count)):
            question = mode.question(number % 2**32)
            question += bytes(i % 251 for i in range(max(int(octets) - len(question), 0)))
            left = time.time()
            sock.send(question)
            answer = sock.recv(65536)
            back = time.time()
            reply = mode.read(answer, mode.reply)
            if reply is None:
                raise SystemExit(f"an answer of {len(answer)} octets that scapy does not read, or a wrong HMAC")
            received, sent = float(reply.ts_rx) - NTP_EPOCH, float(reply.ts) - NTP_EPOCH
            answers.append({"sequence": reply.seq, "of": reply.seq_sender, "ssid": reply.ssid, "ttl": reply.ttl_sender,
                            "octets": len(answer), "padding_kept": answer[mode.octets:] == question[mode.octets:],
                            "time_copied": answer[mode.reply_time] == question[mode.test_time],
                            "held_us": (sent - received) * 1e6, "round_trip_us": (back - left) * 1e6,
                            "in_order": left - 0.001 <= received <= sent <= back + 0.001})
    print(json.dumps({"answers": answers}))


def wrong(address, port, key_file, kind):
    """The right packet comes behind the wrong one on the same way: once it is answered, the other will not be."""
    mode = Mode(key_file)
    with open_socket(address) as sock:
        sock.connect((address, int(port)))
        expected = 1
        begin = time.time()
        if kind == "short":
            sock.send(mode.question(0)[:-1])
        elif kind == "forged":
            question = bytearray(mode.question(0))
            question[-1] ^= 1
            sock.send(bytes(question))
        elif kind == "replayed":
            for _ in range(3):
                sock.send(mode.question(0, begin))
            expected = 2
        elif kind == "other-mode":
            sock.send(bytes(112) if mode.key else b"")
        else:
            raise SystemExit(f"no such kind: {kind}")
        sock.send(mode.question(1))
        answers = []
        while len(answers) < expected:
            answers.append(mode.read(sock.recv(65536), mode.reply).seq_sender)
        sock.setblocking(False)
        try:
            while True:
                answers.append(mode.read(sock.recv(65536), mode.reply).seq_sender)
        except BlockingIOError:
            pass
    print(json.dumps({"answered": answers}))


def many(address, port, key_file, count):
    mode = Mode(key_file)
    with open_socket(address) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        sock.connect((address, int(port)))
        questions = [mode.question(number) for number in range(int(count))]
        for question in questions:
            sock.send(question)
        answered = 0
        sock.settimeout(1)  # of silence
        try:
            while True:
                sock.recv(65536)
                answered += 1
        except TimeoutError:
            pass
    print(json.dumps({"answered": answered}))


if __name__ == "__main__":
    {"reflect": reflect, "send": send, "wrong": wrong, "many": many}[sys.argv[1]](*sys.argv[2:])
