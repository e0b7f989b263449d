"""``python -m benchmarks.scaling``: measure everything, or the parts named by ``--only``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.scaling import fleet, measure, page
from benchmarks.scaling.model import limits, model
from benchmarks.speed import load
from benchmarks.speed.machine import machine
from benchmarks.speed.report import Report, say


def main() -> None:
    """Run the measurements, print the tables, and write the numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--only", action="append", choices=measure.ALL, help="Part to measure; repeatable.")
    parser.add_argument("--json", type=Path, default=Path(".cache/bench/scaling.json"), help="File to write.")
    parser.add_argument("--docs", action="store_true", help="Write the tables to docs/scaling.md.")
    given = parser.parse_args()
    if given.docs and given.only:
        parser.error("--docs needs all parts")
    report = Report(machine=machine())
    say(report.heading)
    begun = time.perf_counter()
    with fleet.stores() as stores:
        for name in given.only or measure.ALL:
            if name == "polls" and not load.is_there():
                report.note(f"{name} is left out: wrk is not installed; on Debian: apt-get install wrk")
            else:
                measure.ALL[name](report, stores)
    of = report.machine
    about = f"{of['processor']}, {of['cores']} cores, Python {of['python']}, {time.strftime('%Y-%m-%d')}"
    parts = {
        "rows": f"{about}; medians of {measure.ROUNDS} rounds:\n\n{report.markdown()}",
        "model": model(report),
        "limits": limits(report),
    }
    for text in parts.values():
        say(f"\n{text}")
    if given.docs:
        page.write(parts)
    report.write(given.json)
    say(f"{time.perf_counter() - begun:.0f} s; written to {given.json}")


if __name__ == "__main__":
    main()
