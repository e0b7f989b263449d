from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redirect_peers import NAME, peer

ROOT = Path(__file__).parent.parent.parent
PROGRAM = ROOT / "tests" / "clients" / "redirect_niquests.py"

INSTALLED = sorted(ROOT.glob(f".niquests/lib/python3.{sys.version_info.minor}/site-packages/niquests"))

ANSWERS = ["vendor", *["emulator"] * 4, True, True, "vendor", "outside.invalid:443", "192.0.2.1:8080"]
"""Before, during and after the redirect, in the seal, and what the seal has recorded."""


@pytest.mark.skipif(not INSTALLED, reason="niquests is not in .niquests; `make test` installs it there")
def test_niquests_is_redirected_and_sealed(tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith(("_proxy", "_ca_bundle")) and not name.startswith("SSL_CERT")
    }
    with peer("vendor", tmp_path / "vendor") as vendor, peer("emulator", tmp_path / "emulator") as emulator:
        given = {
            "name": NAME,
            "vendor": vendor.url,
            "vendor_ca": str(vendor.ca_file),
            "plain": emulator.plain,
            "tls": emulator.tls,
            "ca": str(emulator.ca_file),
        }
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, PROGRAM, json.dumps(given)],
            env={**environment, "PYTHONPATH": os.pathsep.join([str(INSTALLED[0].parent), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.stderr == ""
    ways = [
        f"{way}{more}"
        for way in ("synchronous", "asyncio", "uvloop")
        for more in ("", " with happy eyeballs")
    ]
    assert json.loads(done.stdout) == {"HTTP/3": "emulator", **dict.fromkeys(ways, ANSWERS)}
