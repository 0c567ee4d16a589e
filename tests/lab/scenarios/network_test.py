"""The network as the controller shows it: the ways between agents, and the traffic of the switches' ports."""

import re
import time

from case import scenario
from fabric.figure2 import BRIDGE


def paths(fabric):
    """{(agent, peer, family): row}"""
    return {(row["agent"], row["peer"], row["family"]): row for row in fabric.rows("paths")}


@scenario(warnings=(r"agent-silent",))
def test_network_paths_by_api_table_and_sql(case):
    """Both agents of Figure 2 tell their way to the other; one that is killed is all lost, and what it said is gone."""
    fabric = case.fabric()
    ways = [("agent2", "agent3", "ipv4"), ("agent3", "agent2", "ipv4")]
    good = fabric.wait(lambda: (lambda p: p if sorted(p) == ways and all(r["loss"] == 0 and r["sent"] >= 40 and "rtt_s" in r
                                                                        for r in p.values()) else None)(paths(fabric)),
                       lambda: f"a full window without losses each way: {paths(fabric)}", 30)
    for way, row in good.items():
        assert 0 < row["rtt_min_s"] <= row["rtt_s"] < 0.05, f"{way}: {row}"
        assert row["loss_forward"] == 0 and row["loss_backward"] == 0, f"{way}: {row}"
        assert 0 <= row["jitter_forward_s"] < 0.05 and row["age_s"] < 2 and row["window_s"] == 5, f"{way}: {row}"
    text = fabric.ctl_text("paths", "--agent", "agent2")
    assert re.search(r"^agent2 +agent3 +ipv4 +[0-9.]+ms ", text, re.MULTILINE), text
    stored = fabric.sql("select agent, peer, family, rtt_s, loss, sent from paths order by agent")
    assert [row[:3] for row in stored] == ways and all(0 < row[3] < 0.05 and row[5] > 0 for row in stored), stored
    fabric.agent_processes["agent3"].kill()
    lost = fabric.wait(lambda: next((r for r in paths(fabric).values() if r["agent"] == "agent2" and r["loss"] == 1), None),
                       lambda: f"the way to a killed agent to be all lost: {paths(fabric)}", 20)
    assert "rtt_s" not in lost, lost
    fabric.wait(lambda: list(paths(fabric)) == ways[:1],
                lambda: f"what agent 3 said to be gone: {paths(fabric)}", 20)
    fabric.wait(lambda: [row[0] for row in fabric.sql("select agent from paths")] == ["agent2"], "the same in SQL", 10)
    fabric.start_agent("agent3")
    fabric.wait(lambda: sorted(paths(fabric)) == ways and all("rtt_s" in r for r in paths(fabric).values()),
                lambda: f"both ways again: {paths(fabric)}", 20)
    fabric.wait_ready()


@scenario()
def test_network_link_load_is_what_passes(case):
    """What a client sends at a known rate is what its port's load says, in both directions; the speed is configured or
    the device's."""
    def change(document):
        port = next(p for s in document["switches"] if s["name"] == "dr2" for p in s["ports"] if p["name"] == "to-c2")
        port["speed"] = "100mbit"

    fabric = case.fabric(change)
    octets = 1042  # 1,000 in an Ethernet frame
    ping = fabric.lab.start("c2", "ping", ["ping", "-n", "-s", str(octets - 42), "-i", "0.005", "10.2.21.2"])

    def link(name="to-c2"):
        return next(row for row in fabric.rows("links", "--switch", "dr2") if row["port"] == name)

    def steady():
        row = link()
        return row if row.get("in_packets_s", 0) > 50 and row.get("out_packets_s", 0) > 50 else None

    fabric.wait(steady, lambda: f"the pings in the port's counters: {link()}", 20)
    # Two more readings, so that the whole window lies within the pings.
    first = link()
    seen = fabric.wait(lambda: (lambda row: row if row["age_s"] < first["age_s"] + 0.5 and row["window_s"] != first["window_s"]
                                else None)(link()), "another reading", 20)
    ping.signal(2)
    ping.wait(10)
    sent, ms = map(int, re.search(r"(\d+) packets transmitted.*time (\d+)ms", ping.output()).groups())
    rate = sent / (ms / 1000)
    for way in ("in", "out"):
        assert 0.7 * rate <= seen[f"{way}_packets_s"] <= 1.3 * rate, f"{rate} packets/s: {seen}"
        per_packet = seen[f"{way}_bit_s"] / seen[f"{way}_packets_s"]
        assert 0.95 * octets * 8 <= per_packet <= 1.02 * octets * 8, f"{octets} octets a packet: {seen}"
        assert abs(seen[f"{way}_load"] - seen[f"{way}_bit_s"] / 100e6) < 1e-6, seen
    assert seen["speed_bit_s"] == 100000000 and seen["role"] == "access", seen
    other = link("to-inf")
    assert other.get("speed_bit_s", 1) > 0 and other["in_dropped"] >= 0, other
    switches = {row["name"]: row for row in fabric.rows("switches")}
    assert switches["dr2"]["link_load"]["to-c2"]["speed_bit_s"] == 100000000, switches["dr2"]
    assert set(switches["dr1"]["link_load"]) == {"to-c1a", "to-c1b", "to-inf"}, switches["dr1"]
    text = fabric.ctl_text("links")
    assert re.search(r"^dr2 +to-c2 +access +[0-9.]+ \w?bit/s ", text, re.MULTILINE), text


COUNTERS = ("in_packets", "in_bytes", "in_dropped", "out_packets", "out_bytes", "out_dropped")


def dumped(switch):
    """{port: its counters}, as ovs-ofctl says them. One that the switch does not count ('?') is None."""
    number = r"([0-9]+|\?)"
    entry = re.compile(rf'port +"?([^":]+)"?: rx pkts={number}, bytes={number}, drop={number},.*\n'
                       rf" *tx pkts={number}, bytes={number}, drop={number},")
    return {BRIDGE if port == "LOCAL" else port: dict(zip(COUNTERS, (None if v == "?" else int(v) for v in values)))
            for port, *values in entry.findall(switch.ofctl("--names", "dump-ports", BRIDGE))}


@scenario()
def test_network_link_counters_are_the_switchs(case):
    """While clients load both D-Routers, what is stored of each port lies between what ovs-ofctl dump-ports says before
    and after the reading, for every port and counter."""
    fabric = case.fabric()
    for client in ("c1a", "c2"):
        fabric.lab.start(client, "ping", ["ping", "-n", "-s", "1000", "-i", "0.005", "10.2.21.2"])
    for name in ("dr1", "dr2"):
        switch = fabric.lab.switches[name]
        moved = 0
        for _ in range(3):
            before = dumped(switch)
            since = time.time()
            rows = fabric.wait(
                lambda: fabric.sql(f"select port, {', '.join(COUNTERS)} from links where switch = ? and at > ?",
                                   name, since), "a reading", 10)
            after = dumped(switch)
            configured = {port["name"] for s in fabric.fabric["switches"] if s["name"] == name for port in s["ports"]}
            assert {row[0] for row in rows} == configured and configured <= set(before), (rows, before)
            for port, *values in rows:
                for counter, value in zip(COUNTERS, values):
                    low, high = before[port][counter], after[port][counter]
                    assert (low is None and value is None) or low <= value <= high, (
                        f"{name} {port} {counter}: {low} <= {value} <= {high}")
                moved += after[port]["in_bytes"] - before[port]["in_bytes"]
        assert moved > 100000, f"{name}: {moved} octets, too few to tell"
