"""Load from wrk."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What wrk measured: requests per second, and the 99th percentile of the latency."""

    per_second: float
    p99_ms: float


def is_there() -> bool:
    """Return whether wrk is installed."""
    return shutil.which("wrk") is not None


def load(
    url: str,
    *,
    seconds: float = 4,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    connections: int = 16,
) -> Load:
    """Send requests over ``connections``. With ``body``, send it as JSON with POST.

    Raises
    ------
    RuntimeError
        If any response has an error status.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body is not None:
            script.write(
                f'wrk.method = "POST"\nwrk.body = [=[{body}]=]\n'
                'wrk.headers["Content-Type"] = "application/json"\n'
            )
            script.flush()
            command += ["-s", script.name]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)  # noqa: S603 - wrk
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if refused is not None:
        raise RuntimeError(f"{refused[1]} responses of {url} have an error status")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if rate is None or slow is None:
        raise RuntimeError(f"wrk printed no result: {done.stdout}{done.stderr}")
    return Load(float(rate[1]), float(slow[1]) * UNITS_MS[slow[2]])


def load_all(
    urls: Sequence[str],
    *,
    seconds: float = 4,
    headers: Mapping[str, str] | None = None,
    connections: int = 16,
) -> Load:
    """Send requests to all of ``urls`` at once, and share the connections between them.

    The result has the sum of the rates, and the latency of the slowest.
    """
    share = max(1, connections // len(urls))
    with ThreadPoolExecutor(len(urls)) as pool:
        found = [
            each.result()
            for each in [
                pool.submit(load, url, seconds=seconds, headers=headers, connections=share) for url in urls
            ]
        ]
    return Load(sum(each.per_second for each in found), max(each.p99_ms for each in found))
