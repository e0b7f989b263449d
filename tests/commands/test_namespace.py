"""What is missing where ``exec --sealed`` is not allowed. The sealed run itself is tested with ``exec``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.commands import namespace
from emulator.commands.namespace import SealRefused, seal


@pytest.mark.parametrize(
    ("file", "value", "remedy"),
    [
        ("APPARMOR", "1", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
        ("USERNS_CLONE", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ("MAX_NAMESPACES", "0", "sudo sysctl -w user.max_user_namespaces=10000"),
        (None, "", "--cap-add SYS_ADMIN"),
    ],
)
def test_the_remedy_names_the_setting_of_the_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str | None, value: str, remedy: str
) -> None:
    for name in ("APPARMOR", "USERNS_CLONE", "MAX_NAMESPACES"):
        setting = tmp_path / name
        if name == file:
            setting.write_text(f"{value}\n")
        monkeypatch.setattr(namespace, name, setting)
    assert remedy in namespace._remedy()  # noqa: SLF001 - the text of every refusal


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SealRefused, match="--sealed needs Linux"):
        seal([])


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_system_without_namespaces_is_reported(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-m", "emulator", "exec", "--sealed", "--", "true"])
    script = f"echo 0 > /proc/sys/user/max_user_namespaces || exit 99; {command}"
    ran = subprocess.run(  # noqa: S603 - fixed words
        ["unshare", "--user", "--map-root-user", "sh", "-c", script],  # noqa: S607 - any unshare
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )
    if ran.returncode in {1, 99}:
        pytest.skip(f"this system allows no user namespaces to forbid them in: {ran.stderr}")
    assert ran.returncode == 125
    assert "or omit --sealed" in ran.stderr
    assert "Traceback" not in ran.stderr
