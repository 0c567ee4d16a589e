#!/usr/bin/python3
"""Selection policies beside an oracle: dyncast-sim over the workloads A to E (tests/sim/scenarios).

Rows carry two keys more than others: period_s, the agents' report period, and ending, how bindings end: fin, with
their demands, or idle, 5 s after their last packet. `value` of metric p50_over_oracle (p99, mean) is the policy's
latency over the oracle's with the same demands, the mean over `runs` seeds; p99_error is that mean's standard error.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SCENARIOS = ["a", "b", "c", "d", "e"]
PERIODS = ["50ms", "500ms", "1s", "5s", "10s"]
METRICS = ["p50_over_oracle", "p99_over_oracle", "mean_over_oracle"]


def command(arguments, out):
    program = os.path.join(os.environ.get("DYNCAST_BIN_DIR", os.path.join(ROOT, "build", "release", "bin")),
                           "dyncast-sim")
    line = [program, *(os.path.join(ROOT, "tests", "sim", "scenarios", f"{name}.yaml") for name in SCENARIOS),
            "--ending", "fin,idle", "--threads", str(os.cpu_count() or 1), "--csv", out, "--quiet"]
    if arguments.quick:
        line += ["--period", "50ms,1s,10s", "--seed", "1", "--duration", "120s"]
    else:
        line += ["--period", ",".join(PERIODS), "--seed", ",".join(str(seed) for seed in range(1, arguments.seeds + 1))]
    if arguments.html:
        line += ["--html", arguments.html]
    return line


def rows_of(cells):
    rows = []
    for cell in cells:
        for metric in [*METRICS, "p99_error"]:
            rows.append({"group": "selection", "case": cell["scenario"].upper(), "period_s": float(cell["period_s"]),
                         "ending": cell["ending"], "subject": cell["policy"], "metric": metric,
                         "value": float(cell[metric]), "unit": "ratio", "runs": int(cell["seeds"])})
    return rows


def main():
    parser = argparse.ArgumentParser(prog="bench_selection.py", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="less time, fewer periods, one seed")
    parser.add_argument("--json", metavar="FILE", required=True)
    parser.add_argument("--html", metavar="FILE", default=os.environ.get("DYNCAST_BENCH_HTML"),
                        help="write the page with plots there; default: $DYNCAST_BENCH_HTML")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each cell")
    arguments = parser.parse_args()
    with tempfile.NamedTemporaryFile(prefix="dyncast-selection-", suffix=".csv", mode="r", encoding="utf-8") as file:
        done = subprocess.run(command(arguments, file.name), check=False)
        if done.returncode != 0:
            return 1
        rows = rows_of(csv.DictReader(file))
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
