"""What all subjects of the dispatch bench have in common, and those that are bare Open vSwitch."""

import shutil

from lab.waiting import wait_until

from bed import COUNT, GATEWAY_MAC, NAMES, PORT, SID, Bed, bid

UPLINK_MAC = "02:00:00:00:09:01"
MONITOR_PORT = 6654


class Missing(Exception):
    """A peer that is not installed; the text says how to."""


def need(programs, package):
    """Missing if one of the programs is not there."""
    for name in programs:
        if not shutil.which(name):
            raise Missing(f"{name} is not installed: apt-get install {package}")


class Subject:
    """One way to dispatch demands, started on a bed of its own."""

    name = ""
    variant = ""  # which kind, where a subject is measured in several
    middle = "switch"
    sid = SID
    gateway_mac = GATEWAY_MAC
    bindings = True  # holds something per flow, so that established traffic with many of them makes sense
    most_bindings = 1_000_000

    @classmethod
    def require(cls):
        """Missing if it cannot run here."""

    def __init__(self, lab_name):
        self.bed = Bed(self.middle, lab_name)
        try:
            self.start()
        except BaseException:
            self.bed.down()
            raise

    def start(self):
        raise NotImplementedError

    def stop(self):
        self.bed.down()

    def forget(self):
        """Drops what is held per flow. False: it can't; a new one must be made."""
        return False

    def pids(self):
        """Processes whose CPU time the demands cost."""
        return [self.bed.switch.pid("ovs-vswitchd")]

    def memory_pid(self):
        return self.bed.switch.pid("ovs-vswitchd")

    def launch(self, mode, **options):
        """Starts the generator on the bed, with what this subject needs."""
        return self.bed.launch(mode, **({"sid": self.sid, "gateway_mac": self.gateway_mac} | options))

    def generate(self, mode, **options):
        """Runs the generator to its end; its report."""
        return self.bed.finish(self.launch(mode, **options))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def to_instance(bed, n, rewrite=True):
    """Actions that send a packet to instance n."""
    address = f"set_field:{bid(n)}->ip_dst," if rewrite else ""
    return f"dec_ttl,{address}set_field:{UPLINK_MAC}->eth_src,set_field:{bed.mac(NAMES[n - 1])}->eth_dst,output:{n + 1}"


def to_client(bed):
    return f"dec_ttl,set_field:{GATEWAY_MAC}->eth_src,set_field:{bed.mac('cl')}->eth_dst,output:1"


def return_flows(bed, table):
    lines = [f"table={table},priority=20,udp,nw_src={bid(n)},tp_src={PORT},"
             f"actions=set_field:{SID}->ip_src,{to_client(bed)}" for n in range(1, COUNT + 1)]
    return "\n".join(lines + [f"table={table},priority=1,ip,actions={to_client(bed)}"])


class Plain(Subject):
    """Routing by static flows: the limit."""

    name = "plain"
    sid = bid(1)
    bindings = False

    def start(self):
        self.bed.bridge()
        routes = [f"table=0,priority=10,in_port=1,ip,nw_dst={bid(n)}/24,actions={to_instance(self.bed, n, False)}"
                  for n in range(1, COUNT + 1)]
        back = f"table=0,priority=5,ip,actions={to_client(self.bed)}"
        self.bed.add_flows("\n".join(routes + [back]) + "\n")

    def forget(self):
        return True


class StatelessGroup(Subject):
    """A select group by hash over the 5-tuple; nothing is learned."""

    name = "stateless-group"
    bindings = False
    fields = "selection_method=hash,fields(ip_src,ip_dst,nw_proto,udp_src,udp_dst)"

    def start(self):
        self.bed.bridge()
        buckets = ",".join(f"bucket=bucket_id:{n},weight:1,actions=set_field:{n}->reg0,resubmit(,25)"
                           for n in range(1, COUNT + 1))
        self.bed.switch.ofctl("add-group", "br0", f"group_id=1,type=select,{self.fields},{buckets}")
        self.bed.add_flows("\n".join([*self.selection(), self.egress(), return_flows(self.bed, 60)]) + "\n")

    def selection(self):
        return [f"table=0,priority=20,in_port=1,udp,nw_dst={SID},tp_dst={PORT},actions=set_field:1->reg1,group:1",
                "table=0,priority=10,ip,actions=resubmit(,60)",
                "table=25,priority=10,actions=resubmit(,30)"]

    def egress(self):
        return "\n".join(f"table=30,priority=10,ip,reg0={n},actions={to_instance(self.bed, n)}"
                         for n in range(1, COUNT + 1))

    def forget(self):
        return True


class BareLearn(StatelessGroup):
    """OVS's `learn` with an idle timeout: 5-tuple flows, flow-removed messages asked for."""

    name = "bare-learn"
    bindings = True
    most_bindings = 100_000
    timeouts = "idle_timeout=60,send_flow_rem,"

    def selection(self):
        learn = (f"learn(table=10,priority=100,{self.timeouts}cookie=0xd100000000000001,eth_type=0x800,nw_proto=17,"
                 "NXM_OF_IP_SRC[],NXM_OF_IP_DST[],NXM_OF_UDP_SRC[],NXM_OF_UDP_DST[],"
                 "load:NXM_NX_REG0[0..15]->NXM_NX_REG0[0..15])")
        return [f"table=0,priority=20,in_port=1,udp,nw_dst={SID},tp_dst={PORT},"
                "actions=set_field:1->reg1,resubmit(,10),resubmit(,20)",
                "table=0,priority=10,ip,actions=resubmit(,60)",
                "table=20,priority=20,reg0=0,reg1=1,actions=group:1",
                "table=20,priority=10,actions=resubmit(,30)",
                f"table=25,priority=10,udp,reg1=1,actions={learn},resubmit(,30)"]

    def forget(self):
        self.bed.switch.ofctl("del-flows", "br0", "table=10")
        return True


class BareLearnMonitored(BareLearn):
    """The same while a flow monitor reports each learned flow to another host, as the product's controller has it."""

    variant = "monitored"

    def start(self):
        super().start()
        lab, switch = self.bed.lab, self.bed.switch
        address = lab.management_address("dr")
        switch.vsctl("set-controller", "br0", f"ptcp:{MONITOR_PORT}:{address}", "--", "set", "controller", "br0",
                     "connection-mode=out-of-band")
        target = f"tcp:{address}:{MONITOR_PORT}"
        wait_until(lambda: switch.run("ovs-ofctl", "-O", "OpenFlow15", "show", target, check=False), 10,
                   "the bridge at its port for monitors")
        monitor = lab.start("ctl", "monitor", ["ovs-ofctl", "-O", "OpenFlow15", f"--unixctl={lab.path('monitor.ctl')}",
                                               "monitor", target, "watch:!initial,table=10"])

        def reported():  # it writes in blocks
            self.generate("new", flows=64, rate=1000, wait=0.1)
            return "event=ADDED" in monitor.output()

        wait_until(reported, 10, "the flow monitor's reports")
