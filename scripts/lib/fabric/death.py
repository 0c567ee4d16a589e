"""An instance dies on ForwarderFabric while many bindings lead to it: what a D-Forwarder is sent, and when flows go on."""

import time

from lab.errors import LabError
from lab.waiting import wait_until

from . import flows
from .edge import HEALTH_DOWN, HEALTH_UP

VICTIM = "i1"
ACTIVE_CLIENT = "100.65.127.1"  # of the flows that talk; none of those that are only bound
SETTLE_S = 3  # far beyond any switch's revalidation


def held(fabric, number):
    """How many bindings fN holds."""
    return sum(flows.count_bindings(fabric.forwarder(number)).values())


def tell_dead(fabric, name):
    """The agent says that an instance is down; when."""
    fabric.wire.instances[name]["health"] = HEALTH_DOWN
    died = time.time()
    fabric.wire.tell()
    return died


def tell_alive(fabric, name):
    fabric.wire.instances[name]["health"] = HEALTH_UP
    fabric.wire.tell()


def bind(fabric, generator, count, turn, **options):
    """Makes `count` bindings at f1 that nobody else has, by `turn` (0 or 1)."""
    had = held(fabric, 1)
    generator.new(list(fabric.wanted), count, clients=max(1, count // 1000), source_ports=1000,
                  first_client=f"100.65.{128 * turn}.0", **options)
    fabric.wait(lambda: held(fabric, 1) >= had + count, f"{count} more bindings than {had}", 120)


def die(fabric, generator, service, *, active, turn, **options):
    """`active` flows of a service talk by way of f1, each every 100 ms; then the victim dies, and comes back.

    (report of the generator, when the agent told of the death (Unix time), f1's OpenFlow counters spent for it)
    """
    had = held(fabric, 1)
    names = list(fabric.wanted)
    running = generator.start("established", names, flows=active, clients=1, source_ports=active,
                              rate=10 * active, window=128, seconds=120, first_client=ACTIVE_CLIENT, source_port=20000 + turn * active, **options)
    fabric.wait(lambda: held(fabric, 1) >= had + active, f"{active} more bindings than {had}", 120)
    before = fabric.counters()["f1"]
    died = tell_dead(fabric, VICTIM)
    fabric.wait_slots(service, set(names) - {VICTIM})
    wait_until(lambda: time.time() > died + SETTLE_S, SETTLE_S + 7, "all active flows to go on")
    after = fabric.counters()["f1"]
    report = running.finish()
    tell_alive(fabric, VICTIM)
    fabric.wait_slots(service)
    if not report["flows_moved"]:
        raise LabError(f"no flow left {VICTIM}: {report['flow_instances']}")
    return report, died, {key: after[key] - before[key] for key in ("flow_mods_sent", "bundles_sent")}


def messages(spent):
    """OpenFlow messages: a bundle takes two beside its flow mods, to open and to commit it."""
    return spent["flow_mods_sent"] + 2 * spent["bundles_sent"]
