from __future__ import annotations

import json
import subprocess
import sys

from command_runs import face_emulator

from emulator.commands.environment import Format, written
from emulator.server import Listening


def test_env_prints_variables_that_a_shell_reads(secure: Listening, variables: dict[str, str]) -> None:
    ran = face_emulator("env", "--url", secure.base_url)
    print_them = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    read = subprocess.run(  # noqa: S603 - fixed words
        ["sh", "-c", f"{ran.stdout}\n{print_them}"],  # noqa: S607 - any sh
        capture_output=True,
        text=True,
        check=True,
    )
    assert variables.items() <= json.loads(read.stdout).items()


def test_env_formats(secure: Listening, variables: dict[str, str]) -> None:
    assert json.loads(written(variables, Format.JSON)) == variables
    assert f"FACE_EMULATOR_URL={secure.base_url}\n" in written(variables, Format.GITHUB)
    assert written({"A": "it's a $1"}, Format.DOTENV) == 'A="it\'s a \\$1"\n'
    assert written({"A": "a b"}, Format.DOTENV) == "A='a b'\n"


def test_env_without_tls_has_the_urls_and_credentials_only(server: Listening) -> None:
    url = server.base_url
    found = json.loads(face_emulator("env", "--format", "json", "--url", url).stdout)
    assert {name.rpartition("_")[2] for name in found} <= {"URL", "KEY", "SECRET", "TOKEN"}
    expected = {
        "FACE_EMULATOR_URL": url,
        "FACEPLUSPLUS_URL": url,
        "FACEPLUSPLUS_API_KEY": "face-emulator",
        "FACEPLUSPLUS_API_SECRET": "face-emulator",
        "METAHUMAN_URL": url,
        "METAHUMAN_TOKEN": "face-emulator",
        "PERFECTCORP_URL": url,
        "PERFECTCORP_KEY": "face-emulator",
    }
    assert expected.items() <= found.items()
