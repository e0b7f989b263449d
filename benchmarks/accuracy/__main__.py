"""Accuracy of the head model on synthetic people with known shape, and on photographs.

``python -m benchmarks.accuracy`` prints all tables. ``--people 10`` is faster, and ``--only cost`` prints one
table. ``--photos FOLDER`` prints only how well the coefficients distinguish photographed people. FOLDER must
contain one folder per person. No parameter of the face core was tuned on these synthetic people. The costs
are for one core if ``OMP_NUM_THREADS`` and ``OPENBLAS_NUM_THREADS`` are 1; `make accuracy` sets them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.accuracy.attributes import attributes_table
from benchmarks.accuracy.cost import cost_table
from benchmarks.accuracy.detection import detection_table, determinism_table
from benchmarks.accuracy.people import say
from benchmarks.accuracy.recognition import people_table, perspective_table, photo_table, stability_table
from benchmarks.accuracy.search import group_table, roll_table
from benchmarks.accuracy.shape import matrix_table, shape_table, unfolding_table, views_table
from emulator.pipelines.core import silenced_stderr

TABLES: dict[str, Callable[[Sequence[int]], None]] = {
    "cost": cost_table,
    "shape": shape_table,
    "views": views_table,
    "unfolding": unfolding_table,
    "people": people_table,
    "matrix": matrix_table,
    "stability": stability_table,
    "perspective": perspective_table,
    "attributes": attributes_table,
    "detection": detection_table,
    "roll": roll_table,
    "groups": lambda people: group_table(people[:5]),
    "determinism": determinism_table,
}


def main() -> None:
    """Print the requested tables."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("python -m benchmarks.accuracy", description=summary)
    parser.add_argument("--people", type=int, default=50, help="number of synthetic people")
    parser.add_argument("--only", choices=TABLES, action="append", help="print only this table (repeatable)")
    parser.add_argument("--photos", type=Path, help="a folder with one folder of photographs per person")
    arguments = parser.parse_args()
    with silenced_stderr():
        if arguments.photos is not None:
            photo_table(arguments.photos)
            return
        for name in arguments.only or TABLES:
            start = time.perf_counter()
            TABLES[name](range(arguments.people))
            say(f"({time.perf_counter() - start:.0f} s)\n")


if __name__ == "__main__":
    main()
