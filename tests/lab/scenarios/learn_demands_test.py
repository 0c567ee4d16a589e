"""In-switch dispatch: where new demands go, and that all of one key stay together."""

from binomial import require_shares
from case import scenario
from fabric.dispatch import service
from fabric.pktgen import Generator, flows_at, short

# key -> (service's ports, further services' options, what makes N demands with N keys, protocol)
KEYS = {
    "5-tuple": ("tcp/9000", "tcp", lambda n: {"clients": max(1, n // 500), "source_ports": 500}),
    "4-tuple": ("udp/9000-9499", "udp", lambda n: {"clients": -(-n // 500), "ports": 500}),
    "3-tuple": ("sctp/9000", "sctp", lambda n: {"clients": n}),
    "client": ("icmp", "icmp", lambda n: {"clients": n}),
    "client/27/123": ("udp/9000", "udp", lambda n: {"clients": n, "client_step": 32}),  # 131,072 of them in a /10
}


def group_of(key, v6):
    parts = key.split("/")
    return key if len(parts) == 1 else f"{parts[0]}/{parts[2] if v6 else parts[1]}"


def first_packets(case, keys, demands):
    """All demands of all keys, three packets each back to back, and once more: none lost, none moved."""
    services, instances, of = [], {}, {}
    for n, key in enumerate(keys):
        name = f"s{n}"
        services.append(service(name, sid=(f"10.96.0.{n + 1}", f"fd96::{n + 1}"), ports=(KEYS[key][0],), key=key,
                                idle="600s", limit=case.scale(20000, 1000000)))
        of[key] = {False: [f"i{3 * n + 1 + i}" for i in range(3)], True: [f"v{3 * n + 1 + i}" for i in range(3)]}
        instances |= {i: name for family in of[key].values() for i in family}
    fabric = case.edge(services, instances)
    fabric.mute_farm()
    generator = Generator(fabric)
    for n, key in enumerate(keys):
        for v6 in (False, True):
            _, proto, space = KEYS[key]
            options = {"v6": v6, "proto": proto, "sid": f"fd96::{n + 1}" if v6 else f"10.96.0.{n + 1}", "port": 9000,
                       "group": group_of(key, v6), **space(demands)}
            where = of[key][v6]
            remembered = fabric.lab.path(f"map{n}{'v6' if v6 else 'v4'}")
            report = generator.new(where, demands, packets_per_flow=3, map=remembered, **options)
            text = f"{key} {'IPv6' if v6 else 'IPv4'}: {short(report)}"
            assert report["flows_moved"] == 0 and report["groups_split"] == 0, text
            assert report["groups"] == demands, text
            assert min(flows_at(report).values()) > demands // 5, f"not spread: {flows_at(report)}"
            again = generator.new(where, demands, expect=remembered, **options)
            assert again["expected"]["compared"] == demands and again["expected"]["moved"] == 0, again["expected"]
    held = fabric.row("switches", "dr")["bindings"]
    assert held >= 2 * demands * len(keys) * 0.99, f"the controller knows {held} bindings"


@scenario(warnings=(r"slows the switch down",))
def test_learn_first_packets(case):
    """New demands of every key, IPv4 and IPv6: each first packet is delivered, each flow on one instance."""
    if case.full:
        for key in KEYS:
            first_packets(case, [key], 100000)
    else:
        first_packets(case, list(KEYS), 1000)


def told(fabric, weights):
    """The agent gives the instances these capacities; waits until the switch has the shares."""
    for name, weight in weights.items():
        fabric.wire.instances[name]["capacity"] = weight
    fabric.wire.tell()
    whole = sum(weights.values())

    def close():
        slots = fabric.slots("web")
        total = sum(slots.values()) or 1
        return all(abs(slots.get(n, 0) / total - w / whole) < 0.002 for n, w in weights.items())

    fabric.wait(close, lambda: f"slots like {weights}: {fabric.slots('web')}")


@scenario(warnings=(r"slows the switch down",))
def test_learn_shares(case):
    """Weights 1:2:3:4 and 1:100: the demands' counts are within the exact 99.9% interval, learn and reactive."""
    demands = case.scale(4000, 20000)
    four, two = {"i1": 1, "i2": 2, "i3": 3, "i4": 4}, {"i5": 1, "i6": 100}
    pairs = [(name, sid, mode, weights) for mode in ("learn", "reactive") for name, sid, weights in (
        (f"four-{mode}", "10.96.0.1" if mode == "learn" else "10.96.0.3", four),
        (f"two-{mode}", "10.96.0.2" if mode == "learn" else "10.96.0.4", two))]
    services, instances, renamed = [], {}, {}
    for name, sid, mode, weights in pairs:
        shift = 0 if mode == "learn" else 6
        renamed[name] = {f"i{int(i[1:]) + shift}": w for i, w in weights.items()}
        services.append(service(name, sid=(sid,), ports=("udp/9000",), dispatch=mode, limit=30000, idle="600s",
                                store="generations"))
        instances |= {i: (name, w) for i, w in renamed[name].items()}
    fabric = case.edge(services, instances)
    fabric.mute_farm()
    generator = Generator(fabric)
    for name, sid, _, _ in pairs:
        weights = renamed[name]
        report = generator.new(list(weights), demands, sid=sid, port=9000, clients=demands // 20, source_ports=20)
        require_shares(flows_at(report), weights)
        assert report["flows_moved"] == 0, short(report)


@scenario()
def test_learn_moved_weight_disturbs_its_share_only(case):
    """A tenth of the weight moves from one instance to another: at most 12% of the verdicts change."""
    demands = case.scale(4000, 20000)
    before = {"i1": 30, "i2": 20, "i3": 30, "i4": 20}
    # Without a store the verdict is the hash's, so the same demands may be asked again.
    fabric = case.edge([service(sid=("10.96.0.1",), ports=("udp/9000",), store="none")],
                       {name: ("web", weight) for name, weight in before.items()})
    fabric.mute_farm()
    generator = Generator(fabric)
    space = {"port": 9000, "clients": demands // 20, "source_ports": 20}
    remembered = fabric.lab.path("map")
    require_shares(flows_at(generator.new(list(before), demands, map=remembered, **space)), before)
    after = {"i1": 20, "i2": 30, "i3": 30, "i4": 20}
    told(fabric, after)
    report = generator.new(list(before), demands, expect=remembered, **space)
    require_shares(flows_at(report), after)
    moved = report["expected"]["moved"]
    assert report["expected"]["compared"] == demands, report["expected"]
    assert 0.07 * demands <= moved <= 0.12 * demands, f"{moved} of {demands} verdicts changed"


@scenario(warnings=(r"slows the switch down",))
def test_learn_client_bursts(case):
    """16 first connections of each client at once, while weights change ten times a second: one instance each."""
    clients = case.scale(300, 1000)
    names = [f"i{n}" for n in range(1, 5)]
    fabric = case.edge([service(sid=("10.96.0.1",), ports=("tcp/9000",), key="client", policy="least-bindings")],
                       {name: "web" for name in names})
    fabric.mute_farm()
    generator = Generator(fabric)
    planned = fabric.row("switches", "dr")["plan_changes"]
    seconds = case.scale(2, 10)
    fabric.wire.change(times=100000, every_ms=100, what="load", seed=7)
    space = {"proto": "tcp", "port": 9000, "clients": clients, "source_ports": 16, "group": "client",
             "window": 64}
    remembered = fabric.lab.path("map")

    def under_churn(name, **options):
        running = generator.start("new", names, flows=clients * 16, name=name, **space, **options)
        fabric.churn(names, 10000, 100, until=lambda: not running.process.running())
        report = running.wait()
        assert report["lost"] == 0 and report["delivered"] == report["sent"], short(report)
        assert report["groups"] == clients and report["groups_split"] == 0, short(report)
        assert report["flows_moved"] == 0, short(report)
        return report

    under_churn("first", rate=clients * 32 / seconds, packets_per_flow=2, map=remembered)
    # Once more, in another order.
    report = under_churn("second", rate=clients * 16 / seconds, clients_first=True, expect=remembered)
    assert report["expected"]["moved"] == 0, report["expected"]
    changes = fabric.row("switches", "dr")["plan_changes"] - planned
    assert changes >= 8 * 2 * seconds, f"the switch's shares changed only {changes} times in {2 * seconds} s"
    fabric.wire.change(times=0, every_ms=1000)
    held = fabric.wait_bindings_equal()
    assert held == clients, f"{held} bindings for {clients} clients"
