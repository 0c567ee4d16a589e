"""The product as a subject: controller, agent and D-Router, one service, the binding store as parameter."""

import yaml
from bed import COUNT, GATEWAY, NAMES, PORT, SID, bid
from lab.errors import LabError
from lab.lab import program
from lab.waiting import wait_until
from peers import CHECK_PORT, start_servers
from subjects import Subject

BRIDGE = "br-dyn"


class Ours(Subject):
    gateway_mac = None
    dispatch = "learn"
    store = "auto"
    limit = 100_000
    idle_timeout = "600s"
    policy = "static"
    check_interval_ms = 1000  # a busy machine must not make instances look dead

    def start(self):
        self.start_controller()
        self.start_agent()
        self.wait_ready()

    def service(self):
        affinity = {"key": "5-tuple", "idle_timeout": self.idle_timeout, "limit": self.limit, "store": self.store}
        if self.store == "timed":
            affinity["fin_timeout"] = "0s"
        return {"name": "bench", "sid": SID, "ports": [f"udp/{PORT}", f"tcp/{CHECK_PORT}"], "dispatch": self.dispatch,
                "affinity": affinity, "selection": {"policy": self.policy}}

    def fabric(self):
        lab = self.bed.lab
        control = lab.management_address("ctl")
        ports = [{"name": "to-cl", "role": "access", "addresses": [f"{GATEWAY}/9"]}]
        ports += [{"name": f"to-{name}", "role": "edge", "addresses": [f"10.2.{n}.1/24"]}
                  for n, name in enumerate(NAMES, 1)]
        return {
            "controller": {
                "fabric": "bench", "openflow_listen": f"ptcp:6653:{control}",
                "metrics_bind": f"tcp://{control}:5570", "api_socket": lab.path("controller.sock"),
                "database": lab.path("dyncast.db"), "startup_grace": "1s"},
            "switches": [{"name": "dr", "role": "d-router", "ovsdb": f"tcp:{lab.management_address('dr')}:6640",
                          "bridge": BRIDGE, "datapath_type": "netdev", "ports": ports,
                          "punts": {"demands_per_s": 0, "fragments_per_s": 0, "others_per_s": 200}}],
            "agents": [{"name": "agent", "bids": ["10.2.0.0/16"]}],
            "services": [self.service()]}

    def agent(self):
        lab = self.bed.lab
        return {"name": "agent", "controllers": [f"tcp://{lab.management_address('ctl')}:5570"],
                "heartbeat_interval": "2s",
                "instances": [{
                    "name": name, "service": "bench", "bid": bid(n), "port": CHECK_PORT,
                    "network_namespace": f"/run/netns/{self.bed.namespace(name)}", "check_inside": True,
                    "health": {"check": "tcp", "interval": f"{self.check_interval_ms}ms",
                               "timeout": f"{self.check_interval_ms * 3 // 4}ms"}} for n, name in enumerate(NAMES, 1)]}

    def write(self, name, document):
        path = self.bed.lab.path(name)
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        return path

    def start_controller(self):
        path = self.write("fabric.yaml", self.fabric())
        self.controller = self.bed.lab.start("ctl", "controller", [program("dyncast-controller"), "--config", path],
                                             append=True)

    def start_agent(self):
        path = self.write("agent.yaml", self.agent())
        self.servers = start_servers(self.bed)
        self.agent_process = self.bed.lab.start("ctl", "agent", [program("dyncast-agent"), "--config", path])

    def wait_ready(self):
        """Until demands are answered by all instances."""
        def ready():
            for process in (self.controller, self.agent_process):
                if not process.running():
                    raise LabError(f"{process.name} ended:\n{process.output()[-1500:]}")
            try:
                report = self.generate("new", flows=64, rate=2000, answer=True, wait=0.3)
            except LabError as error:
                if "does not answer" in str(error):  # the gateway, yet
                    return False
                raise
            return report["answered"] == 64 and len(report["arrivals"]) == COUNT

        wait_until(ready, 30, "answers of all instances by way of the D-Router", poll_s=0.1)

    def pids(self):
        return [*super().pids(), self.controller.pid]

    def kill_instance(self, name):
        self.servers[name].kill()

    def controller_memory_pid(self):
        return self.controller.pid


class Learn(Ours):
    """As configured by default: `store: auto` means generations here."""

    name = "learn"
    idle_timeout = "60s"
    most_bindings = 1_000_000  # with a limit that allows them, see with_store


class LearnTimed(Learn):
    """As bare-learn: one flow with an idle timeout for each binding."""

    variant = "timed"
    store = "timed"


class Reactive(Ours):
    name = "reactive"
    dispatch = "reactive"
    policy = "least-bindings"


def with_store(base, store_name, held, **changes):
    """A subject like `base` whose service holds bindings in a store of that name, up to `held` of them."""
    limits = {"limit": max(1000, held)} if store_name != "timed" else {"limit": min(100_000, max(1000, held))}
    return type(f"{base.__name__}{store_name.title()}", (base,), {"store": store_name} | limits | changes)


def with_quick_checks(base):
    """A subject like `base` that looks for dead instances as often as the peers do in the measurement of repair."""
    return type(f"{base.__name__}Quick", (base,), {"check_interval_ms": 200})
