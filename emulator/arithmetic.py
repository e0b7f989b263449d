"""Environment variables that make numpy round identically on all x86-64 processors with AVX2.

numpy and OpenBLAS have several implementations of each function. When such a library is loaded, it chooses
the implementations that are fastest on the processor. The results of two implementations can differ in the
last bit, and this changes single pixels of a rendered picture. With several threads, OpenBLAS adds numbers in
a varying order, which can change the last bit, too.
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
}
"""numpy's names of the instruction sets beyond AVX2, with the processor flags that each needs.

numpy also lists AVX512_SPR, but numpy 1.26 has no functions for it, and warns if it is disabled.

https://numpy.org/doc/stable/reference/simd/build-options.html
"""


def arithmetic_variables(cpuinfo: str | None = None) -> dict[str, str]:
    """Return environment variables that make numpy and OpenBLAS round identically on processors with AVX2.

    Set the variables before numpy is loaded. They select one thread and disable the instruction sets beyond
    AVX2. If the processor has no AVX2, or its flags are unknown, the variables only select one thread, and
    results can differ between processors.

    Parameters
    ----------
    cpuinfo : str, optional
        Content of ``/proc/cpuinfo``. By default, the file is read.
    """
    if cpuinfo is None:
        cpuinfo = CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else ""
    found = re.search(r"^flags\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    flags = frozenset(found[1].split()) if found else frozenset()
    # One thread is also faster: the workers keep all cores busy, and with small matrices, two threads wait
    # for each other. On two busy cores, a reshape of 1024 x 1024 pixels took 116 ms with two threads, and
    # 56 ms with one.
    variables = {"OPENBLAS_NUM_THREADS": "1"}
    if "avx2" not in flags:
        return variables
    # Omit instruction sets that the processor does not have, because numpy warns about them.
    beyond = [name for name, needed in NUMPY_FEATURES.items() if needed <= flags]
    variables["OPENBLAS_CORETYPE"] = "Haswell"
    if beyond:
        variables["NPY_DISABLE_CPU_FEATURES"] = " ".join(beyond)
    return variables
