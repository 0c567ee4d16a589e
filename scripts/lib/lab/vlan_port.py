"""An 802.1Q interface: a TAP device whose frames travel tagged over another interface. Runs in the host's
namespace as a process of its own, so that a lab needs nothing of the kernel but veth and TAP.

Usage: vlan_port.py PARENT VLAN_ID NAME; writes 'ready' when NAME is there and passes frames.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
SIOCSIFHWADDR, SIOCGIFHWADDR = 0x8924, 0x8927
SOL_PACKET, PACKET_AUXDATA = 263, 8
TP_STATUS_VLAN_VALID = 1 << 4
ETH_P_ALL = 0x0003
ETH_P_8021Q = b"\x81\x00"


def make_tap(name, parent):
    """The TAP's file and the packet socket on the parent. Both have the same MAC."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    hardware = fcntl.ioctl(wire, SIOCGIFHWADDR, struct.pack("16s24x", parent.encode()))[16:]
    fcntl.ioctl(wire, SIOCSIFHWADDR, struct.pack("16s", name.encode()) + hardware)
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.bind((parent, ETH_P_ALL))
    wire.setblocking(False)
    return tap, wire


def tag_of(ancillary):
    """The VLAN id that the kernel took off a frame; None: it had none."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA and len(data) >= 20:
            status, _, _, _, _, tci, _ = struct.unpack("=IIIHHHH", data[:20])
            return tci & 0xFFF if status & TP_STATUS_VLAN_VALID else None
    return None


def send(wire, frame):
    try:
        wire.send(frame)
    except OSError:
        pass  # full, or down: a wire loses frames


def from_tap(tap, wire, vlan):
    tag = ETH_P_8021Q + struct.pack("!H", vlan)
    try:
        while frame := os.read(tap, 65536):
            send(wire, frame[:12] + tag + frame[12:])
    except OSError:
        pass  # nothing left, or the device is down


def from_wire(tap, wire, vlan):
    try:
        while True:
            frame, ancillary, _, sender = wire.recvmsg(65536, 64)
            if sender[2] == socket.PACKET_OUTGOING:
                continue
            found = tag_of(ancillary)
            if found is None and frame[12:14] == ETH_P_8021Q:
                found = struct.unpack("!H", frame[14:16])[0] & 0xFFF
                frame = frame[:12] + frame[16:]
            if found == vlan:
                os.write(tap, frame)
    except OSError:
        pass


def main():
    parent, vlan, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    tap, wire = make_tap(name, parent)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([tap, wire], [], [])
        if tap in ready:
            from_tap(tap, wire, vlan)
        if wire in ready:
            from_wire(tap, wire, vlan)


if __name__ == "__main__":
    sys.exit(main())
