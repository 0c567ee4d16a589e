"""When a switch's groups really change, seen from outside the controller: Open vSwitch forwards each group change that it
has made to whoever asks (OFPT_REQUESTFORWARD, OpenFlow 1.5 section 7.4.6), at the moment at which it holds.
"""

import socket
import struct
import threading
import time

OPENFLOW_1_5 = 6
HELLO, ECHO_REQUEST, ECHO_REPLY, SET_CONFIG, GROUP_MOD, SET_ASYNC, REQUESTFORWARD = 0, 2, 3, 9, 15, 28, 32
BARRIER_REQUEST, BARRIER_REPLY, ERROR = 20, 21, 1
# Properties of SET_ASYNC for a connection that is no slave: reasons wanted, as bits.
PACKET_IN, PORT_STATUS, FLOW_REMOVED, FORWARDED = 1, 3, 5, 11
GROUP_MODS = 1
REG0 = 0x00010004  # OXM header of register 0, without a mask
REG0_MASKED = 0x00010108


def message(kind, body=b"", xid=1):
    return struct.pack("!BBHI", OPENFLOW_1_5, kind, 8 + len(body), xid) + body


def instances_of(group_mod):
    """(group id, {instance id: slots}) of a group_mod message; its buckets load the instance into register 0."""
    group, length = struct.unpack_from("!IH", group_mod, 12)
    at, end, slots = 24, 24 + length, {}
    while at + 8 <= end:
        size, actions = struct.unpack_from("!HH", group_mod, at)
        instance = register0(group_mod[at + 8:at + 8 + actions])
        slots[instance] = slots.get(instance, 0) + 1
        at += max(size, 8)
    return group, slots


def register0(actions):
    for header, mask_octets in ((REG0, 0), (REG0_MASKED, 4)):
        found = actions.find(struct.pack("!I", header))
        if found >= 0:
            value = struct.unpack_from("!I", actions, found + 4)[0]
            mask = struct.unpack_from("!I", actions, found + 8)[0] if mask_octets else 0xFFFFFFFF
            return value & mask
    return None


class GroupWatch:
    """Told of the group changes of a switch's bridge from the moment on at which it is made."""

    def __init__(self, switch, bridge):
        self._forwarded = []  # (time, whole group_mod); read later, so that the next one's time is right
        self.problem = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(f"{switch.folder}/{bridge}.mgmt")
        self._input = b""
        self._came_at = 0.0
        # A hello with the bitmap of versions, in it only this one.
        self._socket.sendall(message(HELLO, struct.pack("!HHI", 1, 8, 1 << OPENFLOW_1_5)))
        # Nobody is told anything unless it has set a length for packets; those themselves are not wanted.
        wanted = b"".join(struct.pack("!HHI", kind, 8, bits) for kind, bits in (
            (PACKET_IN, 0), (PORT_STATUS, 0), (FLOW_REMOVED, 0), (FORWARDED, GROUP_MODS)))
        self._socket.sendall(message(SET_CONFIG, struct.pack("!HH", 0, 64)) + message(SET_ASYNC, wanted)
                             + message(BARRIER_REQUEST))
        while self._receive()[1] != BARRIER_REPLY:
            pass
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def changes(self):
        """(Unix time in s, group id, {instance id: slots}) of each change so far, in order."""
        return [(at, *instances_of(group_mod)) for at, group_mod in list(self._forwarded)]

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _receive(self):
        """(when it came, type, whole message)"""
        while True:
            if len(self._input) >= 8:
                _, kind, length, xid = struct.unpack_from("!BBHI", self._input)
                if len(self._input) >= length:
                    whole, self._input = self._input[:length], self._input[length:]
                    if kind == ERROR:
                        raise ConnectionError(f"the switch refuses: {whole[8:12].hex()}")
                    if kind == ECHO_REQUEST:
                        self._socket.sendall(message(ECHO_REPLY, whole[8:], xid))
                        continue
                    return self._came_at, kind, whole
            got = self._socket.recv(1 << 20)
            self._came_at = time.time()
            if not got:
                raise ConnectionError("the switch has closed the connection")
            self._input += got

    def _run(self):
        try:
            while True:
                at, kind, whole = self._receive()
                if kind == REQUESTFORWARD and whole[9] == GROUP_MOD:
                    self._forwarded.append((at, whole[8:]))
        except (OSError, struct.error) as error:
            self.problem = str(error)
