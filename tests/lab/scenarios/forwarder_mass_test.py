"""D-Forwarders: counts that must be exact, forged packets, and eight D-Forwarders at once (forwarders.yaml)."""

import json
import os

from case import scenario
from fabric import death, flows
from fabric.death import held
from fabric.dispatch import service
from fabric.forwarders import COUNT, OWN, Generator, clients, endpoint
from fabric.pktgen import flows_at, short

from .learn_demands_test import KEYS, group_of

TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")
MODES = ("learn", "reactive")


def pair_services(keys, limit=20000):
    """A service per key and mode with two instances in each family; their names, by (key, mode, IPv6)."""
    services, instances, of = [], {}, {}
    for n, (key, mode) in enumerate((key, mode) for key in keys for mode in MODES):
        name = f"s{n}"
        services.append(service(name, sid=(f"10.96.0.{n + 1}", f"fd96::{n + 1}"), ports=(KEYS[key][0],), key=key,
                                dispatch=mode, idle="600s", limit=limit))
        for v6 in (False, True):
            names = [f"{'v' if v6 else 'i'}{2 * n + 1 + i}" for i in (0, 1)]
            instances |= {i: name for i in names}
            of[key, mode, v6] = (names, {"v6": v6, "proto": KEYS[key][1], "sid": services[-1]["sid"][v6], "port": 9000})
    return services, instances, of


@scenario(warnings=(r"slows the switch down",))
def test_forwarder_second_packets_do_not_touch_the_d_router(case):
    """Each flow asks once: the packets after the first go straight to the instance that was told, and the D-Router holds
    what it held before."""
    demands = case.scale(500, 10000)
    services, instances, of = pair_services(["5-tuple", "client"], limit=100000)
    fabric = case.forwarders(services, instances)
    fabric.mute_farm()
    generator = Generator(fabric, 1)
    before = flows.own_dump(fabric.switch)
    for (key, mode, v6), (names, options) in of.items():
        said = f"{key} {mode} IPv{6 if v6 else 4}"
        options |= KEYS[key][2](demands) | {"group": group_of(key, v6)}
        remembered = fabric.lab.path(f"map-{key}-{mode}-{v6}")
        asked, had = flows.asked(fabric.switch), held(fabric, 1)
        report = generator.new(names, demands, map=remembered, **options)
        assert min(flows_at(report).values()) > demands // 5, f"{said}: not spread: {flows_at(report)}"
        fabric.wait(lambda h=had: held(fabric, 1) - h >= demands, f"{said}: {demands} bindings learned", 60)
        assert flows.asked(fabric.switch) - asked == demands, f"{said}: {flows.asked(fabric.switch) - asked} were asked"
        report = generator.new(names, demands, packets_per_flow=3, expect=remembered, **options)
        assert report["expected"]["compared"] == demands and report["expected"]["moved"] == 0, report["expected"]
        assert flows.asked(fabric.switch) - asked == demands, f"{said}: later packets were asked about"
    assert flows.own_dump(fabric.switch) == before, "the D-Router's flows changed"


@scenario()
def test_forwarder_bursts_stay_together(case):
    """20 packets back to back before any binding exists reach one instance: every key, both modes, both families."""
    trials = case.scale(50, 1000)
    services, instances, of = pair_services(list(KEYS))
    fabric = case.forwarders(services, instances)
    fabric.mute_farm()
    generator = Generator(fabric, 1)
    for (key, mode, v6), (names, options) in of.items():
        # By 5-tuple 20 packets of one flow, else one each of 20 flows of one client.
        burst = {"flows": trials, "packets_per_flow": 20} if key == "5-tuple" else {"flows": 20 * trials, "source_ports": 20}
        step = {"client_step": 32} if key.startswith("client/") else {}
        report = generator.new(names, window=60, clients=trials, group=group_of(key, v6), **burst, **step, **options)
        said = f"{key} {mode} IPv{6 if v6 else 4}: {short(report)}"
        assert report["delivered"] == 20 * trials, said
        assert report["flows_moved"] == 0 and report["groups_split"] == 0 and report["groups"] == trials, said
        assert len(flows_at(report)) == 2, f"{said}: {flows_at(report)}"


@scenario(warnings=(r"binding_flow_limit",))
def test_forwarder_instance_dies_under_many_bindings(case):
    """All active flows of a dead instance go on elsewhere, for at most 3 messages to the D-Forwarder, however many
    bindings it holds."""
    active = case.scale(100, 1000)
    spent = []
    services = [service(sid=("10.96.0.1",), ports=("udp/9000",), idle="3600s", store="generations", limit=2000000,
                        slow_start="0s")]
    fabric = case.forwarders(services, {"i1": "web", "i2": "web"}, change=lambda d: d["controller"].update(stats_interval="1h"))
    fabric.mute_farm()
    generator = Generator(fabric, 1)
    for turn, present in enumerate(case.scale((10, 2000), (100, 100000))):
        death.bind(fabric, generator, present, turn, port=9000)
        report, died, cost = death.die(fabric, generator, "web", active=active, turn=turn, port=9000)
        assert report["flows_moved"] > active // 5 and report["lost"] <= active // 20, short(report)
        assert report["last_move_at"] - died < 1.5, f"the last flow moved after {report['last_move_at'] - died:.3f} s"
        spent.append(cost)
        assert 0 < death.messages(cost) <= 3, spent
        print(f"           {present} bindings: {cost}, first {1000 * (report['first_move_at'] - died):.1f} ms, last "
              f"{1000 * (report['last_move_at'] - died):.1f} ms", flush=True)
    assert spent[0] == spent[1], f"the cost depends on the bindings: {spent}"


def tool(fabric, node, name, *arguments):
    return json.loads(fabric.lab.run(node, "/usr/bin/python3", "-B", os.path.join(TOOLS, name), *map(str, arguments)))


def everything(fabric):
    """All flows of all switches but neighbours."""
    return {name: flows.own_dump(switch) for name, switch in fabric.lab.switches.items()}


@scenario(warnings=(r"code=DC-CT-003",))
def test_forwarder_forged_packets_change_nothing(case):
    """Geneve from strangers, from the wrong peers and from clients, and clients under another's address: each is dropped
    and counted, and no flow of any switch changes."""
    fabric = case.forwarders([service(ports=("udp/9000",), idle="600s")], {name: "web" for name in ("i1", "i2", "v1", "v2")})
    fabric.mute_farm()
    ours = Generator(fabric, 1)
    remembered = fabric.lab.path("map")
    demands = {"port": 9000, "clients": 50, "source_ports": 10}
    ours.new(["i1", "i2"], 500, map=remembered, **demands)
    fabric.wait(lambda: held(fabric, 1) == 500, "500 bindings")
    fabric.wait_bindings_equal()
    before = everything(fabric)
    web, instance = fabric.service_id("web"), fabric.row("instances", "i1")["id"]
    victim, other, own = clients(1)[0], clients(2)[0], clients(OWN)[0]
    victim6 = clients(1)[1] + "1"
    d_router, f1, f2 = endpoint(OWN), endpoint(1), endpoint(2)
    miss, info, unknown = 1, 2, 7
    stranger = "172.16.9.1"  # an address of `core`, which forges the others
    dr, forwarder = fabric.switch, fabric.forwarder(1)

    def geneve(node, source, to, kind, client, sid="10.96.0.1"):
        return tool(fabric, node, "geneve.py", 20, source, to, kind, web, instance, client, sid, 9000)

    # what -> (who drops it, in which of its tables, what is sent)
    forged = {
        "a miss from a stranger": (dr, (2,), lambda: geneve("core", stranger, d_router, miss, victim)),
        "a miss from a stranger, IPv6": (dr, (2,), lambda: geneve("core", stranger, d_router, miss, victim6, "fd96::1")),
        "binding info from a stranger": (forwarder, (2,), lambda: geneve("core", stranger, f1, info, victim)),
        "binding info from another D-Forwarder": (forwarder, (2,), lambda: geneve("core", f2, f1, info, victim)),
        "a miss to a D-Forwarder": (forwarder, (2,), lambda: geneve("core", d_router, f1, miss, victim)),
        "binding info to a D-Router": (dr, (2,), lambda: geneve("core", f1, d_router, info, victim)),
        "a miss for another D-Forwarder's client": (dr, (2,), lambda: geneve("core", f1, d_router, miss, other)),
        "a miss for the D-Router's own client": (dr, (2,), lambda: geneve("core", f1, d_router, miss, own)),
        "an unknown kind to a D-Forwarder": (forwarder, (2,), lambda: geneve("core", d_router, f1, unknown, victim)),
        "an unknown kind to a D-Router": (dr, (2,), lambda: geneve("core", f1, d_router, unknown, victim)),
        "binding info from a client": (forwarder, (5, 10), lambda: geneve("c1", victim, f1, info, victim)),
        "a client as its D-Router": (forwarder, (5,), lambda: geneve("c1", d_router, f1, info, victim)),
        "a client as its D-Forwarder": (forwarder, (5,), lambda: geneve("c1", f1, d_router, miss, victim)),
        "a miss from a client": (dr, (2, 10), lambda: geneve("c1", victim, d_router, miss, victim)),
        "a miss from a client of the D-Router": (dr, (2, 10), lambda: geneve("own", own, d_router, miss, victim)),
    }
    mac = fabric.gateway_of(1)
    for spoofed, sid in ((other, "10.96.0.1"), (own, "10.96.0.1"), (clients(2)[1] + "1", "fd96::1")):
        forged[f"a client as {spoofed}"] = (forwarder, (5,), lambda s=spoofed, d=sid: {"sent": sum(tool(
            fabric, "c1", "odd_packets.py", "to-f1", mac, "-", d, 9000, 20, f"spoofed={s}").values())})
    for what, (switch, tables, send) in forged.items():
        def counted(s=switch, t=tables):
            s.appctl("revalidator/wait")
            return sum(flows.dropped(s, table) for table in t)

        had = counted()
        sent = send()["sent"]
        fabric.wait(lambda c=counted, h=had, n=sent: c() - h >= n,
                    lambda w=what, c=counted, h=had, n=sent: f"{n} packets to be dropped: {w}; {c() - h} are", 10)
        now = everything(fabric)
        changed = {name: sorted(set(now[name]) ^ set(before[name]))[:4] for name in now if now[name] != before[name]}
        assert not changed, f"{what} changed {changed}"
    report = ours.new(["i1", "i2"], 500, expect=remembered, **demands)
    assert report["expected"]["moved"] == 0, report["expected"]


@scenario(warnings=(r"slows the switch down",))
def test_forwarder_eight_at_once(case):
    """Eight D-Forwarders and the D-Router's own clients ask at once, in both modes and families: nothing is lost, each
    holds its own clients' bindings, and an instance's end costs each at most 3 messages."""
    demands = case.scale(300, 10000)
    services, instances, of = pair_services(["5-tuple"], limit=100000)
    fabric = case.forwarders(services, instances, change=lambda d: d["controller"].update(stats_interval="1h"))
    fabric.mute_farm()
    generators = {number: Generator(fabric, number) for number in range(1, COUNT + 1)}
    generators[OWN] = Generator(fabric, OWN)
    for (key, mode, v6), (names, options) in of.items():
        space = KEYS[key][2](demands)
        # Slowly enough that no switch port's socket overflows on a busy machine.
        running = {number: generator.start("new", names, flows=demands, window=16, rate=500, seconds=600, wait=3,
                                           name=f"f{number}", **options, **space) for number, generator in generators.items()}
        for number, process in running.items():
            report = process.wait()
            said = f"{mode} IPv{6 if v6 else 4} from {number}: {short(report)}"
            assert report["sent"] == report["delivered"] == demands and report["lost"] == 0, said
            assert report["flows_moved"] == 0 and len(flows_at(report)) == 2, said
    for number in range(1, COUNT + 1):
        fabric.wait(lambda n=number: held(fabric, n) >= demands * len(of), f"{demands * len(of)} bindings at f{number}", 60)
    fabric.wait(lambda: fabric.row("switches", "dr")["bindings"] == demands * len(of), "the D-Router's own bindings", 60)
    counted = sum(flows.count_bindings(fabric.switch).values())
    assert counted == demands * len(of), f"the D-Router holds {counted} bindings, not only its own clients'"
    before = fabric.counters()
    death.tell_dead(fabric, "i1")
    fabric.wait_row("instances", "i1", lambda r: r["state"] == "down", 10, "down")
    for number in range(1, COUNT + 1):
        switch = fabric.forwarder(number)
        identity = fabric.row("instances", "i1")["id"]
        fabric.wait(lambda s=switch: not flows.of_cookie(s, f"{0xD102 << 48 | identity << 16:#x}/0xffff0000ffff0000"),
                    f"f{number}'s egress flow of i1 to go", 10)
        after = fabric.counters()[f"f{number}"]
        spent = {k: after[k] - before[f"f{number}"][k] for k in ("flow_mods_sent", "bundles_sent")}
        assert 0 < death.messages(spent) <= 3, f"f{number}: {spent}"
    names, options = of["5-tuple", "learn", False]
    report = generators[3].new(["i2"], 100, first_flow=demands, **options, clients=10, source_ports=2000)
    assert set(flows_at(report)) == {"i2"}, flows_at(report)
