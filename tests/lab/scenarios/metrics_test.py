"""Scores of CATS' levels, where they are shown, and the page for Prometheus."""

from case import scenario
from lab.waiting import wait_until
from prometheus_client.parser import text_string_to_metric_families

from demo.measure import Burner

PROMETHEUS = "127.0.0.1:9477"


def change(document):
    document["controller"]["prometheus_listen"] = PROMETHEUS
    document["metrics"] = {"window": "2s"}


def level2(fabric, instance, switch=None):
    """The newest L2 score of an instance; None where there is none."""
    rows = fabric.ctl("metrics", "--instance", instance, "--level", "L2")["metrics"]
    found = [row for row in rows if row.get("switch") == switch and row["in_force"]]
    assert len(found) <= 1, found
    return found[0] if found else None


def scrape(fabric, path="/metrics"):
    """The page as Prometheus would read it: {(name, labels): value}."""
    page = fabric.lab.run("ctl", "curl", "--silent", "--show-error", "--fail", f"http://{PROMETHEUS}{path}")
    series = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in series, f"said twice: {key}"
            series[key] = sample.value
    return series


def labels(**pairs):
    return tuple(sorted(pairs.items()))


@scenario()
def test_scores_follow_real_load_everywhere(case):
    """A busy edge: L1 compute and L2 of its instances fall, in dyncastctl, SQLite and Prometheus alike; others' stay."""
    fabric = case.fabric(change)
    before = wait_until(lambda: level2(fabric, "i21", "dr2"), 20, "a score of i21 from dr2")
    assert 0 <= before["value"] <= 10 and before["meaning"] == "priority", before
    # Agent 2 beside D-Router 2 measures the way to the other edge; nobody is beside D-Router 1.
    # Until the packets of the first seconds, when the other agent was not there yet, are out of the window.
    wait_until(lambda: (row := level2(fabric, "i31", "dr2")) and row["value"] > 5, 20, "a good score of i31 from dr2")
    assert level2(fabric, "i21", "dr1") is None
    burner = Burner(fabric, "i21")
    try:
        low = wait_until(lambda: (row := level2(fabric, "i21")) and row["value"] < 3.5 and row, 30,
                         lambda: f"i21 to be not recommended: {level2(fabric, 'i21')}")
        assert low["meaning"] == "not-recommended", low
        compute = fabric.ctl("metrics", "--instance", "i21", "--level", "L1", "--category", "compute")["metrics"]
        assert len(compute) == 1 and compute[0]["value"] < 3.5, compute
        assert level2(fabric, "i31")["value"] > 5, "the other edge is idle"
        wait_until(lambda: fabric.sql("select l2 < 3.5, meaning from scores where instance = 'i21' and switch = 'dr2'")
                   == [(1, "not-recommended")], 10, "the same in SQLite")

        def scraped():
            series = scrape(fabric)
            score = series.get(("dyncast_instance_score_l2", labels(instance="i21", service="web", site="agent2")))
            return series if score is not None and score < 3.5 else None

        series = wait_until(scraped, 10, "the same on the page for Prometheus")
        i31 = {"instance": "i31", "service": "web", "site": "agent3"}
        assert series[("dyncast_instance_state", labels(**i31, state="up"))] == 1
        assert 0 <= series[("dyncast_l0_cpu_utilization_ratio", labels(**i31))] <= 64
        assert series[("dyncast_switch_synced", labels(switch="dr1", role="d-router"))] == 1
        assert series[("dyncast_path_rtt_seconds", labels(switch="dr2", site="agent2", family="ipv4"))] == 0
        assert 0 < series[("dyncast_path_rtt_seconds", labels(switch="dr2", site="agent3", family="ipv4"))] < 0.05
        for client, switch, measured in (("192.168.20.11", "dr2", True), ("192.168.10.11", "dr1", False)):
            explained = fabric.ctl("explain", client, "web", "--switch", switch)
            levels = {row["instance"]: row["levels"] for row in explained["candidates"]}
            # Beside a busy core the way itself may be bad: the instances' part only.
            assert levels["i21"]["l1_compute"] < 3.5 < levels["i31"]["l1_compute"], levels
            assert all(("l1_communication" in row) == measured for row in levels.values()), levels
    finally:
        burner.stop()
    # Decisions keep what was known when they were made.
    fabric.clients.run("c2", [f"{fabric.layout.WEB_SID}:{fabric.layout.WEB_PORT}"], requests=5, connections=5)
    wait_until(lambda: fabric.sql("select count(*) from decisions where l2 is not null")[0][0] >= 5, 10,
               "decisions with scores")
    refused = fabric.lab.run("ctl", "curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}",
                             f"http://{PROMETHEUS}/v1/status")
    assert refused == "404", refused
