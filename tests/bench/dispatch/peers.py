"""Peers of the dispatch bench: optional Debian packages, each with a configuration of its own in the lab's folder."""

import json
import os

from bed import COUNT, FIRST_CLIENT, GATEWAY, NAMES, PORT, SID, SOURCE_PORTS, bid, clients_of, wait_listening
from lab.lab import program
from lab.waiting import wait_until
from subjects import GATEWAY_MAC, UPLINK_MAC, Subject, need

OPENFLOW_PORT = 6653
CHECK_PORT = 8080  # TCP, what health checks ask
CLIENTS = clients_of(24 * SOURCE_PORTS)


class OsKen(Subject):
    """A controller in Python, as many write one: os-ken's packet-in handler decides and installs a flow."""

    name = "os-ken"
    most_bindings = 20_000

    @classmethod
    def require(cls):
        need(["osken-manager"], "python3-os-ken")

    def start(self):
        bed = self.bed
        config = {"sid": SID, "port": PORT, "gateway_mac": GATEWAY_MAC, "uplink_mac": UPLINK_MAC,
                  "client_mac": bed.mac("cl"), "idle_timeout": 60,
                  "instances": [[bid(n), bed.mac(NAMES[n - 1]), n + 1] for n in range(1, COUNT + 1)]}
        app = os.path.join(os.path.dirname(os.path.abspath(__file__)), "osken_lb.py")
        address = bed.lab.management_address("ctl")
        self.controller = bed.lab.start("ctl", "os-ken", [
            "osken-manager", "--ofp-tcp-listen-port", str(OPENFLOW_PORT), "--ofp-listen-host", address, app],
            env={"DYNCAST_BENCH_LB": json.dumps(config), "PYTHONDONTWRITEBYTECODE": "1"})
        wait_listening(bed, "ctl", OPENFLOW_PORT, self.controller)
        bed.bridge()
        bed.switch.vsctl("set-controller", "br0", f"tcp:{address}:{OPENFLOW_PORT}")
        wait_until(lambda: bed.switch.ofctl("dump-flows", "br0").count("priority=20") == COUNT, 20, "os-ken's flows")

    def forget(self):
        self.bed.switch.ofctl("--strict", "del-flows", "br0", "priority=100")
        self.bed.switch.ofctl("del-flows", "br0", f"table=0,udp,in_port=1,nw_src={FIRST_CLIENT}/16")
        return True

    def pids(self):
        return [*super().pids(), self.controller.pid]


class TestController(Subject):
    """OVS's own controller in C: learns MAC addresses, installs a flow for each new 5-tuple. It selects nothing; what
    it shows is the price of a reactive set-up."""

    name = "ovs-testcontroller"
    sid = bid(1)
    most_bindings = 20_000

    @classmethod
    def require(cls):
        need(["ovs-testcontroller"], "openvswitch-testcontroller")

    def start(self):
        bed = self.bed
        address = bed.lab.management_address("ctl")
        self.controller = bed.lab.start("ctl", "testcontroller", [
            "ovs-testcontroller", f"ptcp:{OPENFLOW_PORT}:{address}", "--max-idle=60",
            f"--unixctl={bed.lab.path('testcontroller.ctl')}"])
        wait_listening(bed, "ctl", OPENFLOW_PORT, self.controller)
        bed.bridge()
        bed.switch.vsctl("set-controller", "br0", f"tcp:{address}:{OPENFLOW_PORT}")
        self.gateway_mac = bed.mac("i1")
        # Until it has learned where both sides are.
        wait_until(lambda: self.generate("new", flows=1, rate=10, answer=True, wait=0.2)["answered"] == 1, 20,
                   "an answer by way of ovs-testcontroller")

    def forget(self):
        self.bed.switch.ofctl("del-flows", "br0", "udp,in_port=1")
        return True

    def pids(self):
        return [*super().pids(), self.controller.pid]


class Ovn(Subject):
    """An OVN 23.03 load balancer without affinity, on the client's logical switch."""

    name = "ovn"

    @classmethod
    def require(cls):
        need(["ovn-northd", "ovn-nbctl"], "ovn-central")
        need(["ovn-controller"], "ovn-host")

    def start(self):
        bed, switch = self.bed, self.bed.switch
        self.environment = dict(switch.environment) | {"OVN_RUNDIR": bed.lab.folder, "OVN_LOGDIR": bed.lab.folder}
        for name in ("nb", "sb"):
            file = bed.lab.path(f"ovn-{name}.db")
            switch.run("ovsdb-tool", "create", file, f"/usr/share/ovn/ovn-{name}.ovsschema")
            bed.lab.start("dr", f"ovn-{name}", [
                "ovsdb-server", file, f"--remote=punix:{bed.lab.path(f'{name}.sock')}",
                f"--unixctl={bed.lab.path(f'{name}.ctl')}"], env=self.environment)
        databases = [f"unix:{bed.lab.path(f'{name}.sock')}" for name in ("nb", "sb")]
        wait_until(lambda: all(os.path.exists(d.removeprefix("unix:")) for d in databases), 10, "OVN's databases")
        self.northd = bed.lab.start("dr", "northd", [
            "ovn-northd", f"--ovnnb-db={databases[0]}", f"--ovnsb-db={databases[1]}",
            f"--unixctl={bed.lab.path('northd.ctl')}"], env=self.environment)
        bed.bridge("br-int")
        switch.vsctl("set", "open", ".", "external-ids:system-id=dr", f"external-ids:ovn-remote={databases[1]}",
                     "external-ids:ovn-encap-type=geneve", "external-ids:ovn-encap-ip=127.0.0.1",
                     "external-ids:ovn-bridge-datapath-type=netdev",
                     *[arg for node in ["cl", *NAMES]
                       for arg in ("--", "set", "interface", f"to-{node}", f"external-ids:iface-id={node}")])
        self.nbctl(*self.logical_network())
        self.controller = bed.lab.start("dr", "ovn-controller", [
            "ovn-controller", switch.database], env=self.environment)
        self.nbctl("--wait=hv", "--timeout=60", "sync")
        wait_until(lambda: self.generate("new", flows=4, rate=100, answer=True, wait=0.2)["answered"] == 4, 20,
                   "answers by way of OVN")

    def nbctl(self, *argv):
        return self.bed.switch.run("ovn-nbctl", f"--db=unix:{self.bed.lab.path('nb.sock')}", *argv)

    def logical_network(self):
        """One router, one logical switch for the clients and one for each instance; commands of one transaction."""
        bed = self.bed
        commands = [["lr-add", "lr"]]

        def network(name, mac, gateway, addresses):
            commands.extend([
                ["ls-add", f"ls-{name}"],
                ["lrp-add", "lr", f"lr-{name}", mac, gateway],
                ["lsp-add", f"ls-{name}", f"ls-{name}-lr"],
                ["lsp-set-type", f"ls-{name}-lr", "router"],
                ["lsp-set-addresses", f"ls-{name}-lr", "router"],
                ["lsp-set-options", f"ls-{name}-lr", f"router-port=lr-{name}"],
                ["lsp-add", f"ls-{name}", name],
                ["lsp-set-addresses", name, " ".join([bed.mac(name), *addresses])]])

        network("cl", GATEWAY_MAC, f"{GATEWAY}/9", CLIENTS)
        for n, name in enumerate(NAMES, 1):
            network(name, f"02:00:00:00:09:{n:02x}", f"10.2.{n}.1/24", [bid(n)])
        udp = ",".join(f"{bid(n)}:{PORT}" for n in range(1, COUNT + 1))
        tcp = ",".join(f"{bid(n)}:{CHECK_PORT}" for n in range(1, COUNT + 1))
        commands.append(["lb-add", "lb-udp", f"{SID}:{PORT}", udp, "udp"])
        commands.append(["lb-add", "lb-tcp", f"{SID}:{PORT}", tcp, "tcp"])
        commands.extend([["ls-lb-add", "ls-cl", "lb-udp"], ["ls-lb-add", "ls-cl", "lb-tcp"]])
        return [word for command in commands for word in ["--", *command]][1:]

    def check_instances(self):
        """Health checks each second, by TCP: OVN's interval is a whole number of seconds."""
        checks = ["--", "--id=@check", "create", "Load_Balancer_Health_Check", f'vip="{SID}:{PORT}"',
                  "options:interval=1", "options:timeout=1", "options:success_count=1", "options:failure_count=1",
                  "--", "add", "Load_Balancer", "lb-tcp", "health_check", "@check"]
        mappings = [arg for n, name in enumerate(NAMES, 1)
                    for arg in ("--", "set", "Load_Balancer", "lb-tcp",
                                f'ip_port_mappings:{bid(n)}="{name}:10.2.{n}.254"')]
        self.servers = start_servers(self.bed)
        self.nbctl(*checks[1:], *mappings)
        self.nbctl("--wait=hv", "--timeout=60", "sync")

    def kill_instance(self, name):
        self.servers[name].kill()

    def forget(self):
        self.bed.switch.appctl("dpctl/flush-conntrack")
        return True

    def pids(self):
        return [*super().pids(), self.controller.pid]


class Nft(Subject):
    """Destination NAT by a hash in the kernel's nftables; no check, no change while it runs."""

    name = "nft"
    middle = "router"
    gateway_mac = None
    most_bindings = 100_000  # nf_conntrack_max is the host's

    @classmethod
    def require(cls):
        need(["nft"], "nftables")

    def start(self):
        targets = ", ".join(f"{n - 1} : {bid(n)}" for n in range(1, COUNT + 1))
        rules = (f"table ip bench {{\n chain pre {{\n  type nat hook prerouting priority dstnat;\n"
                 f"  ip daddr {SID} udp dport {PORT} dnat to jhash ip saddr . udp sport mod {COUNT} map {{ {targets} }}\n"
                 " }\n}\n")
        path = self.bed.lab.path("bench.nft")
        with open(path, "w", encoding="utf-8") as file:
            file.write(rules)
        self.bed.lab.run("dr", "nft", "-f", path)

    def forget(self):
        return False

    def pids(self):
        return []

    def memory_pid(self):
        return None


class HaProxy(Subject):
    """A TCP proxy with leastconn; measured by real connections, since it ends them."""

    name = "haproxy"
    middle = "router"
    gateway_mac = None
    bindings = False

    @classmethod
    def require(cls):
        need(["haproxy"], "haproxy")

    def start(self):
        bed = self.bed
        servers = "\n".join(f"  server {name} {bid(n)}:{CHECK_PORT} check inter 200 fastinter 200 fall 1 rise 1"
                            for n, name in enumerate(NAMES, 1))
        config = (f"global\n  maxconn 8000\ndefaults\n  mode tcp\n  timeout connect 1s\n  timeout client 30s\n"
                  f"  timeout server 30s\n  retries 3\n  option redispatch\nfrontend in\n  bind {SID}:{CHECK_PORT}\n"
                  f"  default_backend out\nbackend out\n  balance leastconn\n{servers}\n")
        path = bed.lab.path("haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        bed.lab.run("dr", "ip", "address", "add", f"{SID}/32", "dev", "lo")
        self.servers = start_servers(bed)
        self.proxy = bed.lab.start("dr", "haproxy", ["haproxy", "-db", "-f", path])
        wait_listening(bed, "dr", CHECK_PORT, self.proxy)
        connect_client(bed)

    def pids(self):
        return [self.proxy.pid]

    def kill_instance(self, name):
        self.servers[name].kill()

    def memory_pid(self):
        return self.proxy.pid


def start_servers(bed):
    """A web server at each instance, for health checks and for connections."""
    servers = {}
    for n, name in enumerate(NAMES, 1):
        servers[name] = bed.lab.start(name, f"web-{name}", [program("dyncast-web"), "--bind", f"{bid(n)}:{CHECK_PORT}",
                                                            "--name", name])
        servers[name].wait_output("ready")
    return servers


def connect_client(bed):
    """Gives the client and the instances what kernels need to talk through the middle."""
    bed.lab.run("cl", "ip", "address", "add", "10.128.0.9/9", "dev", "to-dr")
    bed.lab.run("cl", "ip", "route", "add", "default", "via", GATEWAY)
    for n, name in enumerate(NAMES, 1):
        bed.lab.run(name, "ip", "route", "add", "10.128.0.0/9", "via", f"10.2.{n}.1")
