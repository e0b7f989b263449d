"""``python -m benchmarks.speed``: measure everything, or the parts named by ``--only``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.speed import load, measure
from benchmarks.speed.machine import machine
from benchmarks.speed.report import Report, say

HTTP = {"throughput", "contention"}


def main() -> None:
    """Run the measurements, print the table, and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--only", action="append", choices=measure.ALL, help="Part to measure; repeatable.")
    parser.add_argument("--json", type=Path, default=Path(".cache/bench/speed.json"), help="File to write.")
    given = parser.parse_args()
    report = Report(machine=machine())
    say(report.heading)
    say(f"{'':<46} {'median':>9} {'':<4} {'range':<18} {'ratio':<34} aim of the ratio")
    begun = time.perf_counter()
    for name in given.only or measure.ALL:
        if name in HTTP and not load.is_there():
            report.note(f"{name} is left out: wrk is not installed; on Debian: apt-get install wrk")
        else:
            measure.ALL[name](report)
    report.write(given.json)
    say(f"{time.perf_counter() - begun:.0f} s; written to {given.json}")


if __name__ == "__main__":
    main()
