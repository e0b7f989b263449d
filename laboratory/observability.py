"""Chooses the identity modes, and measures the detector: ``python -m laboratory.observability``.

Writes ``emulator/face/data/identity_modes.npz`` and ``detector_error.npz``, in half an hour on
two cores.

1. People are drawn whose faces vary in every smooth way, in three poses each, half of the pictures
   with an expression, and detected. By regression, what each variation does to the detected
   landmarks; the rest is error.
2. The modes: where faces vary and the detector tells. Linear algebra on the variations'
   covariance and on what the detector says of them gives the covariance of what can be recovered
   of a face, and its principal components are the modes. Manifold harmonics fill up the 80.
3. People are drawn with these modes, and the detector's answer to each and its errors are measured
   again.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial

import numpy as np

from laboratory import DATA
from laboratory.modes import choose_modes
from laboratory.response import measured_error
from laboratory.sights import head_of_modes, look_at_all, varied_head

_VARIED_PEOPLE = range(500_000, 500_800)
_PEOPLE_OF_MODES = range(600_000, 600_600)


def main() -> None:
    """Choose the modes, measure the detector, and write the face core's data files."""
    modes = choose_modes(look_at_all(_VARIED_PEOPLE, varied_head))
    np.savez_compressed(
        DATA / "identity_modes.npz",
        modes=modes.modes.astype(np.float32),
        deviations_cm=modes.deviations_cm,
        parities=modes.parities,
    )
    measured = measured_error(look_at_all(_PEOPLE_OF_MODES, partial(head_of_modes, modes)), modes)
    np.savez_compressed(
        DATA / "detector_error.npz",
        **{field.name: getattr(measured, field.name).astype(np.float32) for field in fields(measured)},
    )


if __name__ == "__main__":
    main()
