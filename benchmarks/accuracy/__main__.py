"""How true the head model is: on drawn people whose shape is known, and on photographs.

``python -m benchmarks.accuracy`` prints every table; ``--people 10`` is quicker, ``--only cost`` prints
one table. ``--photos FOLDER`` prints instead how well one folder a person of photographs is told apart.
The people are drawn from seeds that nothing was tuned on. The table of costs means one core where
``OMP_NUM_THREADS`` and ``OPENBLAS_NUM_THREADS`` are 1, as `make accuracy` sets them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.accuracy.cost import cost_table
from benchmarks.accuracy.detection import detection_table, determinism_table
from benchmarks.accuracy.people import say
from benchmarks.accuracy.recognition import people_table, perspective_table, photo_table, stability_table
from benchmarks.accuracy.shape import matrix_table, shape_table, views_table
from emulator.pipelines.core import silenced_stderr

TABLES: dict[str, Callable[[Sequence[int]], None]] = {
    "cost": cost_table,
    "shape": shape_table,
    "views": views_table,
    "people": people_table,
    "matrix": matrix_table,
    "stability": stability_table,
    "perspective": perspective_table,
    "detection": detection_table,
    "determinism": determinism_table,
}


def main() -> None:
    """Print what was asked for."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser("python -m benchmarks.accuracy", description=summary)
    parser.add_argument("--people", type=int, default=50, help="how many are drawn")
    parser.add_argument("--only", choices=TABLES, action="append", help="print this table alone")
    parser.add_argument("--photos", type=Path, help="a folder of folders of photographs, one a person")
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
