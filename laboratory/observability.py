"""Chooses the identity modes and measures the detector: ``python -m laboratory.observability``.

Writes ``emulator/face/data/identity_modes.npz`` and ``detector_error.npz``. This takes half an hour
on two cores.

1. Render synthetic people with faces that vary in every smooth way, in three poses each. Half of the
   pictures show an expression. Detect their landmarks. A regression gives the effect of each
   variation on the detected landmarks; the rest is error.
2. Choose the modes. The covariance of the variations and the detector's information about them give
   the covariance of the recoverable part of a face. Its principal components are the first 16 modes.
   The other 64 modes are manifold harmonics.
3. Render people with these modes, and measure the detector's errors and its response to each mode.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial

import numpy as np

from laboratory import DATA
from laboratory.modes import choose_modes
from laboratory.response import measured_error
from laboratory.sights import head_of_modes, observe_all, varied_head

_VARIED_PEOPLE = range(500_000, 500_800)
_PEOPLE_OF_MODES = range(600_000, 600_600)


def main() -> None:
    """Choose the shape modes of the head model, measure the detector, and write the data files."""
    modes = choose_modes(observe_all(_VARIED_PEOPLE, varied_head))
    np.savez_compressed(
        DATA / "identity_modes.npz",
        modes=modes.modes.astype(np.float32),
        deviations_cm=modes.deviations_cm,
        parities=modes.parities,
    )
    measured = measured_error(observe_all(_PEOPLE_OF_MODES, partial(head_of_modes, modes)), modes)
    np.savez_compressed(
        DATA / "detector_error.npz",
        **{field.name: getattr(measured, field.name).astype(np.float32) for field in fields(measured)},
    )


if __name__ == "__main__":
    main()
