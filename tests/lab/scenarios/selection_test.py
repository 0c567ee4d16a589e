"""Policies on edges of unequal capacity and distance, under sessions: what cannot depend on the machine's mood.
`./scripts/bench proof` has the figures."""

from case import scenario
from fabric import selection
from fabric.trial import Load, SelectionFabric


def running(case, policy):
    fabric = SelectionFabric(case.lab("selection.yaml"), policy=policy, report_interval_ms=500)
    case.fabrics.append(fabric)
    fabric.start()
    return fabric


# A page without answers in the last second has no latency: absent is not 0.
IDLE_PAGE = r"code=DC-AG-006 .*scrape of latency_seconds"


@scenario(warnings=(IDLE_PAGE,))
def test_auto_beats_round_robin(case):
    """The same sessions under both policies: all answered, and the slowest hundredth far sooner with auto."""
    fabric = running(case, "auto")
    fabric.wait_paths()
    load = Load(sessions_per_s={"c1": 38.0, "c2": 32.0}, timeout_ms=15000, warm_up_s=2.0, phase_s=1.4)
    seen = {}
    for policy in ("auto", "round-robin"):
        fabric.use(policy)
        seen[policy] = fabric.trial(policy, load, slow=None)
        assert seen[policy].failed == 0, seen[policy].reports
        assert sum(r["moved"] for r in seen[policy].reports.values()) == 0, seen[policy].reports
    shares = {policy: outcome.shares() for policy, outcome in seen.items()}
    # A quarter each, whatever they can carry.
    assert all(abs(share - 0.25) < 0.08 for share in shares["round-robin"].values()), shares
    # Every edge is used, the smallest the least.
    assert min(shares["auto"].values()) == shares["auto"]["e4"] > 0, shares
    p99 = {policy: outcome.percentiles()["p99_ms"] for policy, outcome in seen.items()}
    assert p99["auto"] < 0.6 * p99["round-robin"], f"p99 in ms: {p99}; {shares}"


@scenario(warnings=(IDLE_PAGE,))
def test_lowest_delay_takes_the_nearest_edge(case):
    """By the way that STAMP has measured: each D-Router's demands at its own nearest edge, and nowhere else."""
    fabric = running(case, "lowest-delay")
    fabric.wait_paths()
    load = Load(sessions_per_s={"c1": 20.0, "c2": 15.0}, timeout_ms=15000, warm_up_s=0.0, phase_s=0.7)
    outcome = fabric.trial("lowest-delay", load, slow=None)
    assert outcome.failed == 0, outcome.reports
    nearest = {"c1": "e1", "c2": "e3"}
    assert {node: set(r["instances"]) for node, r in outcome.reports.items()} == {
        node: {edge} for node, edge in nearest.items()}, outcome.reports
