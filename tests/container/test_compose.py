"""Whether compose.yaml agrees with the Dockerfile, the vendors and the settings. It is not run here."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dockerfile import ROOT, final, final_stage
from vendor_data import VENDORS, is_shipped

from emulator.cli import app
from emulator.control.gate import ControlGate
from emulator.server.plan import tls_folder
from emulator.settings import Settings
from face_api_emulator.trust import environment, trust_files

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
EMULATORS = ("face-api-emulator", "transparent")
SHIPPED = [vendor for vendor in VENDORS.values() if is_shipped(vendor)]
NAMES = sorted(name for vendor in SHIPPED for name in (*vendor.hosts, *vendor.stores))

per_emulator = pytest.mark.parametrize("name", EMULATORS)


def volumes_of(service: str) -> dict[str, tuple[str, bool]]:
    """Return the target of each volume of a service, and whether it is read-only."""
    volumes = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {source: (target, flags == ["ro"]) for source, target, *flags in volumes}


@per_emulator
def test_the_control_api_is_served_under_the_name_of_the_service(name: str) -> None:
    scope = {"type": "http", "path": "/_emulator/clock", "headers": [(b"host", f"{name}:3468".encode())]}
    assert ControlGate("on", None)({**scope, "server": ("172.18.0.2", 3468)}) is None


@pytest.fixture
def certificates(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the certificates in the image."""
    for name, value in final("ENV").pairs.items():
        if name.startswith("XDG_"):
            monkeypatch.setenv(name, value)
    return tls_folder(Settings())


def test_only_the_plain_service_starts_without_a_profile() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    assert profiles == {
        "face-api-emulator": [],
        "transparent": ["transparent"],
        "client": ["transparent"],
    }


def test_the_plain_service_publishes_its_port_on_this_machine_only() -> None:
    port = final("EXPOSE").text
    assert SERVICES["face-api-emulator"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert all("ports" not in service for name, service in SERVICES.items() if name != "face-api-emulator")


@per_emulator
def test_an_emulator_can_only_write_to_temporary_files_and_volumes(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == [final("ENV").pairs["HOME"]] == [final("WORKDIR").text] == ["/tmp"]  # noqa: S108 - in the container
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service


@per_emulator
def test_an_emulator_runs_on_the_only_architecture_with_wheels(name: str) -> None:
    """If this fails because MediaPipe has wheels for ARM, build the image for it too."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    (mediapipe,) = (package for package in packages if package["name"] == "mediapipe")
    wheels = [wheel["url"].rpartition("-")[2] for wheel in mediapipe["wheels"]]
    linux = {wheel.removesuffix(".whl") for wheel in wheels if "linux" in wheel}
    assert linux == {"manylinux_2_28_x86_64"}
    assert SERVICES[name]["platform"] == "linux/amd64"
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "image.yaml").read_text())
    assert workflow["jobs"]["image"]["strategy"]["matrix"]["platform"] == ["linux/amd64"]


def test_the_transparent_service_adds_tls_on_the_port_of_https() -> None:
    command = SERVICES["transparent"]["command"]
    assert command == [*final("CMD").items, "--tls=443"]
    assert SERVICES["transparent"]["sysctls"] == {"net.ipv4.ip_unprivileged_port_start": 0}
    parsed = app.commands["serve"].make_context("serve", command[2:]).params
    assert (parsed["port"], parsed["tls"]) == (int(final("EXPOSE").text), 443)


def test_the_transparent_service_has_all_names_of_the_vendors() -> None:
    assert sorted(SERVICES["transparent"]["networks"]["sealed"]["aliases"]) == NAMES


def test_the_client_reaches_nothing_but_the_transparent_service() -> None:
    assert COMPOSE["networks"] == {"sealed": {"internal": True}}
    assert SERVICES["client"]["networks"] == ["sealed"]
    assert SERVICES["client"]["depends_on"] == {"transparent": {"condition": "service_healthy"}}


def test_the_client_reads_the_certificates_where_the_emulator_writes_them(certificates: Path) -> None:
    assert volumes_of("transparent") == {"certificates": (str(certificates), False)}
    client = volumes_of("client")
    assert client["certificates"] == (str(certificates), True)
    assert "certificates" in COMPOSE["volumes"]
    (install,) = (each.text for each in final_stage() if "install -d" in each.text)
    assert {str(certificates), str(certificates.parent)} <= set(install.split())


def test_the_client_trusts_the_certificates(certificates: Path) -> None:
    assert SERVICES["client"]["environment"] == environment(trust_files(certificates), NAMES, None, {})


def test_the_client_calls_a_vendor_as_usual() -> None:
    *options, url = SERVICES["client"]["command"]
    address = urlsplit(url)
    assert (address.scheme, address.port) == ("https", None)
    (vendor,) = (vendor for vendor in SHIPPED if address.hostname in vendor.hosts)
    assert address.path in [path for operation in vendor.operations.values() for path in operation.paths]
    photos = {
        target: source for source, (target, is_read_only) in volumes_of("client").items() if is_read_only
    }
    (photo,) = (option.partition("@")[2] for option in options if "=@" in option)
    assert ROOT.joinpath(PurePosixPath(photos[photo])).is_file()
