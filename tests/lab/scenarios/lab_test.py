"""The lab itself: links with their properties, isolation, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys

from binomial import require_shares
from case import TOPOLOGIES, scenario
from fabric import flows
from fabric.client import Clients
from lab import journal, topology
from lab.errors import LabError
from lab.lab import REPOSITORY, Lab, program, remains
from lab.waiting import wait_until


def connect_plain(lab):
    """A learning switch between the client and the router."""
    lab.switches["sw"].vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--",
                             "add-port", "br0", "to-cl", "--", "add-port", "br0", "to-rt")


@scenario()
def test_lab_links_have_their_properties(case):
    """Delay, rate, MTU and the LOCAL port's address are there, and traffic passes."""
    lab = case.lab("shaped.yaml")
    connect_plain(lab)
    wait_until(lambda: "10.1.0.9" in lab.run("sw", "ip", "-br", "address"), 10, "the LOCAL port's address")
    pinged = lab.run("cl", "ping", "-n", "-c", "10", "-i", "0.1", "10.2.0.2")
    assert "10 received" in pinged, pinged
    least, mean = map(float, re.search(r"= ([0-9.]+)/([0-9.]+)/", pinged).groups())
    # Two crossings of 5 ms, each varied by 1 ms.
    assert least >= 8 and mean < 25, f"round trips {least}..{mean} ms, expected about 10"
    server = lab.start("sv", "web-sv", [program("dyncast-web"), "--bind", "10.2.0.2:8080", "--name", "sv"])
    server.wait_output("ready")
    report = Clients(lab).run("cl", ["10.2.0.2:8080"], connections=10, requests=200)
    assert report["requests"] == 200 and report["failed"] == 0, report
    too_big = lab.run("cl", "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "10.2.0.2", check=False)
    assert "1 received" not in too_big, "the link's MTU of 1400 was not kept"
    path = lab.cgroup("cl")
    if path:
        with open(os.path.join(path, "cpu.stat"), encoding="utf-8") as file:
            used = int(re.search(r"usage_usec (\d+)", file.read()).group(1))
        assert used > 0, "the client's cgroup counts no CPU"


@scenario(warnings=(r"bridge\|ERR\|another ovs-vswitchd process",))  # ovsdb-server may not have noticed the end yet
def test_lab_switch_restart_restores_the_local_port(case):
    """A restarted ovs-vswitchd gets its LOCAL port's address again."""
    lab = case.lab("shaped.yaml")
    connect_plain(lab)

    def reachable():
        return "1 received" in lab.run("sw", "ping", "-c", "1", "-W", "1", "10.1.0.2", check=False)

    wait_until(reachable, 20, "the client from the LOCAL port")
    lab.switches["sw"].restart_vswitchd()
    wait_until(reachable, 20, "the client from the LOCAL port after the restart")


@scenario()
def test_lab_bad_topology_is_refused(case):
    """Every fault of a topology is named with its line, and nothing is made."""
    text = """name: bad
nodes:
  a: {kind: clinet}
  b: {kind: switch, routes: [{to: 10.0.0.1/8, via: 10.0.0.1}]}
links:
  - ends: [{node: a}, {node: c}]
    delay: 5
"""
    try:
        topology.parse(text, "bad.yaml")
        raise AssertionError("a bad topology was accepted")
    except LabError as error:
        message = str(error)
    for expected in ("bad.yaml:3: kind: 'clinet'", "bad.yaml:4: to: '10.0.0.1/8'", "bad.yaml:6: node: 'c'"):
        assert expected in message, f"{expected} is missing in: {message}"
    try:
        topology.parse("nodes:\n  a: {kind: host}\n  a: {kind: host}\n", "twice.yaml")
        raise AssertionError("a duplicate key was accepted")
    except LabError as error:
        assert "twice.yaml:3: a: given twice, first in line 2" in str(error), error


@scenario(warnings=(r"dropping VLAN 0 packet",))
def test_lab_has_ipv6_vlans_and_networks(case):
    """Addresses of both families answer at once, a tagged interface only with its tag, a node's networks can be bound to."""
    lab = case.lab("dispatch.yaml")
    lab.switches["dr"].vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--",
                             "add-port", "br0", "to-tag", "trunks=30", "--", "set", "port", "br0", "tag=30")
    lab.run("dr", "ip", "link", "set", "dev", "br0", "up")
    for address in ("10.3.0.1/24", "10.9.0.1/24", "fd03::1/64"):
        lab.run("dr", "ip", "address", "add", address, "dev", "br0", *(["nodad"] if ":" in address else []))
    wait_until(lambda: "1 received" in lab.run("dr", "ping", "-c", "1", "-W", "1", "10.3.0.2", check=False), 10,
               "the tagged host")
    assert "1 received" in lab.run("dr", "ping", "-c", "1", "-s", "1472", "-M", "do", "10.3.0.2")
    assert "1 received" in lab.run("dr", "ping", "-c", "1", "fd03::2")
    untagged = lab.run("dr", "ping", "-c", "1", "-W", "1", "10.9.0.2", check=False)
    assert "1 received" not in untagged, "an untagged address answered over the VLAN"
    assert "1 received" in lab.run("cp", "ping", "-c", "1", "fd04::2"), "IPv6 over two routers"
    too_big = lab.run("cp", "ping", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", "fd04::2", check=False)
    assert "mtu=1400" in too_big, too_big
    bound = lab.run("cl", "/usr/bin/python3", "-c", "import socket\nfor f, a in ((socket.AF_INET, '100.64.3.4'), "
                    "(socket.AF_INET6, 'fd64::3:4')):\n socket.socket(f).bind((a, 0))\nprint('bound')")
    assert "bound" in bound


@scenario()
def test_lab_oracles_can_fail(case):
    """What scenarios judge by finds a planted difference."""
    require_shares({"a": 1030, "b": 970}, {"a": 1, "b": 1})
    for wrong in ({"a": 1100, "b": 900}, {"a": 2000}, {"b": 2000}):
        try:
            require_shares(wrong, {"a": 1, "b": 1})
        except AssertionError:
            continue
        raise AssertionError(f"{wrong} passed for equal shares")
    line = ("cookie=0xd103000200050001, table=20, priority=100,tcp6,reg1=0x2,reg4=0x106,reg7=0x1f9023f0,reg8=0xfd640000,"
            "reg9=0,reg10=0,reg11=0x9 actions=set_field:0x5->reg0,resubmit(,40)")
    assert flows.parse(line) == ("fd64::9", "tcp", 8080, 9200, 5), flows.parse(line)
    line = f"cookie=0xd103000200070001, table=21, priority=100,reg1=0x2,reg4=0x11,reg7=0,xxreg2=0xa010002{'0' * 24} actions=load"
    assert flows.parse(line) == ("10.1.0.2", "udp", 0, 0, 7), flows.parse(line)
    line = ("cookie=0xd103000200050001, table=26, priority=100,tcp6,reg1=0x2,reg4=0x106,reg7=0x1,ipv6_src=fd64::9,tp_src=8080,"
            "tp_dst=9200 actions=set_field:0x5->reg0")
    assert flows.parse(line) == ("fd64::9", "tcp", 8080, 9200, 5), flows.parse(line)
    line = "cookie=0xd103000200070001, table=27, priority=100,ip,reg1=0x2,reg4=0,reg7=0,nw_src=10.1.0.0/24 actions=load"
    assert flows.parse(line) == ("10.1.0.0", "any", 0, 0, 7), flows.parse(line)


@scenario()
def test_lab_failure_and_interrupt_leave_nothing(case):
    """A lab that cannot be completed, or whose making is interrupted, leaves nothing behind."""
    name = f"t{os.getpid()}-broken"
    broken = topology.load(os.path.join(TOPOLOGIES, "shaped.yaml"))
    broken.nodes["rt"].routes.append(topology.Route("10.9.0.0/16", "10.250.0.1"))  # via nowhere
    try:
        Lab.up(broken, name)
        raise AssertionError("a lab with an impossible route came up")
    except LabError:
        pass
    assert not remains(name), remains(name)

    name = f"t{os.getpid()}-interrupted"
    # A shell that runs this in the background has SIGINT ignored, which a child would inherit.
    making = subprocess.Popen([sys.executable, os.path.join(REPOSITORY, "scripts", "lab"), "up",
                               os.path.join(TOPOLOGIES, "forwarders.yaml"), "--name", name],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_until(lambda: len(journal.entries(name, "netns")) >= 3, 20, "a half-made lab")
    making.send_signal(signal.SIGINT)
    making.communicate(timeout=60)
    assert making.returncode == 130, f"status {making.returncode}"
    assert not remains(name), remains(name)


@scenario()
def test_lab_command_line(case):
    """up, exec, status, list and down as a user types them; processes of exec end with the lab."""
    name = f"t{os.getpid()}-cli"

    def lab(*arguments):
        done = subprocess.run([sys.executable, os.path.join(REPOSITORY, "scripts", "lab"), *arguments],
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    try:
        status, said = lab("up", os.path.join(TOPOLOGIES, "shaped.yaml"), "--name", name)
        assert status == 0, said
        status, said = lab("up", os.path.join(TOPOLOGIES, "shaped.yaml"), "--name", name)
        assert status == 1 and "there already" in said, said
        assert name in lab("list")[1]
        status, said = lab("exec", "--name", name, "cl", "--", "ip", "-br", "address")
        assert status == 0 and "10.1.0.2/24" in said, said
        status, said = lab("exec", "--name", name, "cl", "--", "sh", "-c", "exit 7")
        assert status == 7, status
        status, said = lab("exec", "--name", name, "nobody", "--", "true")
        assert status == 1 and "no node nobody" in said, said
        background = subprocess.Popen([sys.executable, os.path.join(REPOSITORY, "scripts", "lab"), "exec", "--name",
                                       name, "cl", "--", "cat", "/dev/stdin"], stdin=subprocess.PIPE)
        wait_until(lambda: open(f"/proc/{background.pid}/cmdline", "rb").read().startswith(b"cat"), 10, "exec")
        status, said = lab("status", "--name", name)
        assert status == 0 and "relay-cl-sw" in said, said
    finally:
        status, said = lab("down", "--name", name)
    assert status == 0, said
    assert background.wait(10) != 0, "a process of exec outlived the lab"
    assert not remains(name), remains(name)
