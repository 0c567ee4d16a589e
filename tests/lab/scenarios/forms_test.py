"""Services change their dispatch, under way or between two lives of the controller: bindings go from one form of
flows to the other, and no flow moves."""

import copy

from case import scenario
from fabric import dispatch, flows
from fabric.dispatch import service
from fabric.pktgen import Generator, short

TABLES = {("reactive", "timed"): {26}, ("reactive", "generations"): {27, 28},
          ("learn", "timed"): {20}, ("learn", "generations"): {21, 22}}


def change_dispatch(case, store):
    held = case.scale(3000, 15000)
    names = ["i1", "i2", "i3"]
    web = service(store=store, dispatch="reactive", policy="least-bindings", idle="300s",
                  ports=(f"tcp/{dispatch.PORT}", "udp/9000"))
    fabric = case.edge([web], {name: "web" for name in names}, servers=names)
    load = fabric.clients.start("cl", [dispatch.target(dispatch.SID4)], connections=100, rate=500, timeout_ms=10000)
    load.wait_progress(lambda p: p["open"] == 100 and p["requests"] >= 200, 30, "100 connections")
    generator = Generator(fabric)
    bound = fabric.lab.path("bound")
    space = {"port": 9000, "clients": 200, "source_ports": 200}
    generator.new(names, held, map=bound, **space)

    def moved():
        report = generator.new(names, held, expect=bound, **space)
        assert report["expected"]["compared"] == held, report["expected"]
        return report["expected"]["moved"]

    def tables():
        return {table for table, count in flows.count_bindings(fabric.switch).items() if count}

    assert tables() <= TABLES["reactive", store], tables()
    for mode in ("learn", "reactive", "learn", "reactive"):
        document = copy.deepcopy(fabric.fabric)
        document["services"][0]["dispatch"] = mode
        fabric.reload(document)
        fabric.fabric = document
        # At once: what is on its way must not be chosen for anew.
        assert moved() == 0, f"flows moved on the way to {mode}"
        fabric.wait(lambda mode=mode: tables() and tables() <= TABLES[mode, store],
                    lambda mode=mode: f"bindings of {mode} where they belong, not in {tables()}")
        assert moved() == 0, f"flows moved once {mode} was there"
        assert fabric.wait_bindings_equal() == held + 100
    # The same while no controller runs: the next one finds bindings of the former form.
    for mode in ("learn", "reactive"):
        fabric.kill_controller()
        fabric.fabric["services"][0]["dispatch"] = mode
        fabric.start_controller()

        def settled(mode=mode):
            assert moved() == 0, f"flows moved at a start with {mode}"
            return tables() and tables() <= TABLES[mode, store]

        fabric.wait(settled, lambda mode=mode: f"bindings of {mode} where they belong, not in {tables()}", 60)
        assert moved() == 0, f"flows moved after a start with {mode}"
        assert fabric.wait_bindings_equal() == held + 100
    report = load.finish()
    assert report["failed"] == 0 and report["moved_connections"] == 0, short(report)


@scenario()
def test_dispatch_change_moves_no_timed_flow(case):
    """Reactive to learn and back twice, with 100 connections and thousands of UDP flows bound, in timed tables."""
    change_dispatch(case, "timed")


@scenario()
def test_dispatch_change_moves_no_flow_of_generations(case):
    """The same with the store generations."""
    change_dispatch(case, "generations")
