"""Arithmetic that rounds alike on all x86-64 processors that have AVX2, however many cores they have.

numpy and OpenBLAS look at the processor when they are loaded and take the kernels that are fastest
there; the last bit of what these compute differs, and of a drawn picture a pixel here and there. So does
the order in which OpenBLAS adds what its threads have computed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")

_AVX512_SKX = {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}
_AVX512_CNL = _AVX512_SKX | {"avx512ifma", "avx512vbmi"}
_AVX512_ICL = _AVX512_CNL | {"avx512_vnni", "avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq"}

NUMPY_FEATURES: Final[Mapping[str, frozenset[str]]] = {
    "AVX512F": frozenset({"avx512f"}),
    "AVX512CD": frozenset({"avx512f", "avx512cd"}),
    "AVX512_SKX": frozenset(_AVX512_SKX),
    "AVX512_CLX": frozenset(_AVX512_SKX | {"avx512_vnni"}),
    "AVX512_CNL": frozenset(_AVX512_CNL),
    "AVX512_ICL": frozenset(_AVX512_ICL),
    "AVX512_SPR": frozenset(_AVX512_ICL | {"avx512_fp16"}),
}
"""What numpy calls the extensions beyond AVX2, and the processor's flags that each needs.

https://numpy.org/doc/stable/reference/simd/build-options.html
"""


def arithmetic_variables(cpuinfo: str | None = None) -> dict[str, str]:
    """Return the environment variables with which numpy and OpenBLAS compute alike everywhere.

    They count when set before numpy is loaded. One thread computes, and the extensions beyond AVX2 are left
    unused; nothing is said of these for other processors, and where the system does not say what
    the processor can do.

    Parameters
    ----------
    cpuinfo : str, optional
        What Linux says of the processor; read from ``/proc/cpuinfo`` if left out.
    """
    if cpuinfo is None:
        cpuinfo = CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else ""
    found = re.search(r"^flags\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    flags = frozenset(found[1].split()) if found else frozenset()
    # It is quicker, too: each worker has a core, and over small matrices two threads wait for one another
    # (a reshape of 1024 pixels took 116 ms with two threads on two busy cores, and 56 with one).
    variables = {"OPENBLAS_NUM_THREADS": "1"}
    if "avx2" not in flags:
        return variables
    # numpy warns of a name that the processor lacks.
    beyond = [name for name, needed in NUMPY_FEATURES.items() if needed <= flags]
    variables["OPENBLAS_CORETYPE"] = "Haswell"
    if beyond:
        variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(beyond)
    return variables
