from __future__ import annotations

import os
import subprocess
import sys

import pytest

from emulator.arithmetic import CPUINFO, arithmetic_variables

HASWELL = "processor\t: 0\nflags\t\t: fpu sse sse2 fma avx avx2\n"
SKYLAKE = HASWELL.replace("avx2", "avx2 avx512f avx512cd avx512vl avx512bw avx512dq")
ICE_LAKE = SKYLAKE.replace(
    "avx512f",
    "avx512f avx512ifma avx512vbmi avx512_vnni avx512_vbmi2 avx512_bitalg avx512_vpopcntdq",
)

SAPPHIRE_RAPIDS = ICE_LAKE.replace("avx512f", "avx512f avx512_fp16")


@pytest.mark.parametrize(
    ("cpuinfo", "beyond"),
    [
        (HASWELL, None),
        (SKYLAKE, "AVX512F AVX512CD AVX512_SKX"),
        (ICE_LAKE, "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"),
        (SAPPHIRE_RAPIDS, "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"),
    ],
)
def test_processor_features_beyond_avx2_are_disabled(cpuinfo: str, beyond: str | None) -> None:
    variables = arithmetic_variables(cpuinfo)
    assert variables.pop("OPENBLAS_NUM_THREADS") == "1"
    assert variables.pop("OPENBLAS_CORETYPE") == "Haswell"
    assert variables == ({} if beyond is None else {"NPY_DISABLE_CPU_FEATURES": beyond})


@pytest.mark.parametrize("cpuinfo", ["", "flags\t: sse sse2 avx", "Features\t: fp asimd"])
def test_other_processors_get_only_the_thread_limit(cpuinfo: str) -> None:
    assert arithmetic_variables(cpuinfo) == {"OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.skipif(not CPUINFO.is_file(), reason="only Linux lists the processor's features in a file")
def test_numpy_accepts_the_variables_and_uses_no_avx512() -> None:
    program = (
        "from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__; "
        "print([name for name in __cpu_dispatch__ if name.startswith('AVX512') and __cpu_features__[name]])"
    )
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | arithmetic_variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
