"""Checks that compose.yaml agrees with the Dockerfile, the vendors and the settings, without running it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dockerfile import ROOT, final, final_stage
from vendor_data import VENDORS, is_shipped

from emulator.cli import app
from emulator.control.gate import OPEN, ControlGate
from emulator.server.plan import tls_folder
from emulator.settings import Settings
from emulator.variables import unknown_variables
from face_api_emulator.trust import environment, trust_files

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SERVERS = ("server-1", "server-2")
REPLICAS = (*SERVERS, "worker")
EMULATORS = ("face-api-emulator", "transparent", *REPLICAS)
STORES = ("database", "objects")
SCALED = ("balancer", *REPLICAS, *STORES)
SHIPPED = [vendor for vendor in VENDORS.values() if is_shipped(vendor)]
NAMES = sorted(name for vendor in SHIPPED for name in (*vendor.hosts, *vendor.stores))

per_emulator = pytest.mark.parametrize("name", EMULATORS)
per_replica = pytest.mark.parametrize("name", REPLICAS)


def volumes_of(service: str) -> dict[str, tuple[str, bool]]:
    """Return the target of each volume of a service, and whether it is read-only."""
    volumes = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {source: (target, flags == ["ro"]) for source, target, *flags in volumes}


@pytest.mark.parametrize("name", [*EMULATORS, "balancer"])
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
        **{name: ["scaled"] for name in SCALED},
    }


def test_the_plain_service_and_the_balancer_publish_their_port_on_this_machine_only() -> None:
    port = final("EXPOSE").text
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    ports = [f"127.0.0.1:{port}:{port}"]
    assert published == {"face-api-emulator": ports, "balancer": ports}


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
    assert COMPOSE["networks"]["sealed"] == {"internal": True}
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


@pytest.mark.parametrize("name", SCALED)
def test_a_scaled_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]  # noqa: S108 - in the container
    assert service["cap_drop"] == ["ALL"]
    # Without this one, the file capability of the program in Caddy's image prevents its start.
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "balancer" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


def test_the_images_of_others_have_a_version() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "build" not in service}
    assert set(images) == {"balancer", "client", *STORES}
    for image in images.values():
        assert re.search(r":v?\d+[\d.]*(-alpine)?$", image), image


def test_the_stores_reach_nothing_but_the_replicas() -> None:
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    members = {name for name, service in SERVICES.items() if "stores" in service.get("networks", [])}
    assert members == {*STORES, *REPLICAS}
    for name in STORES:
        assert SERVICES[name]["networks"] == ["stores"]
    for name in REPLICAS:
        # Replicas also download pictures and send webhooks.
        assert SERVICES[name]["networks"] == ["default", "stores"]


def test_two_servers_and_two_workers_have_the_same_settings() -> None:
    settings = [SERVICES[name]["environment"] for name in REPLICAS]
    assert all(each == settings[0] for each in settings)
    assert unknown_variables(settings[0], [*VENDORS.values()]) == []
    # The console needs the same token at all servers.
    assert settings[0]["FACE_EMULATOR_CONTROL_TOKEN"]
    assert SERVICES["worker"]["deploy"] == {"replicas": 2}


@per_replica
def test_a_replica_uses_the_stores(name: str) -> None:
    given = SERVICES[name]["environment"]
    database = urlsplit(given["FACE_EMULATOR_DATABASE_URL"])
    created = SERVICES["database"]["environment"]
    assert database.scheme == "postgresql"
    assert (database.hostname, database.port) == ("database", 5432)
    assert (database.username, database.password) == (created["POSTGRES_USER"], created["POSTGRES_PASSWORD"])
    assert database.path == f"/{created['POSTGRES_DB']}"

    blobs, served = urlsplit(given["FACE_EMULATOR_BLOBS_URL"]), SERVICES["objects"]["environment"]
    assert blobs.scheme == "s3"
    assert given["AWS_ENDPOINT_URL"] == "http://objects:7070"
    assert given["AWS_ACCESS_KEY_ID"] == served["ROOT_ACCESS_KEY"]
    assert given["AWS_SECRET_ACCESS_KEY"] == served["ROOT_SECRET_KEY"]
    assert given["AWS_REGION"] == served["VGW_REGION"]
    # Each folder in the root of the gateway is a bucket.
    assert volumes_of("objects") == {"objects": (f"{served['VGW_BACKEND_ARG']}/{blobs.hostname}", False)}
    assert SERVICES[name]["depends_on"] == {store: {"condition": "service_healthy"} for store in STORES}


def test_the_state_survives_in_volumes() -> None:
    assert volumes_of("database") == {"database": ("/var/lib/postgresql/data", False)}
    assert {"database", "objects"} <= set(COMPOSE["volumes"])


def test_servers_and_workers_run_their_commands() -> None:
    for name in SERVERS:
        assert SERVICES[name]["command"] == final("CMD").items
    assert SERVICES["worker"]["command"] == ["face-emulator", "worker"]
    # The crash tests run the same commands.
    crashes = (ROOT / "tests" / "robustness" / "test_replicas.py").read_text()
    assert set(re.findall(r'Process\(\["([a-z]+)"', crashes)) == {"serve", "worker"}
    check, *command = SERVICES["worker"]["healthcheck"]["test"]
    assert (check, command) == ("CMD", ["face-emulator", "worker", "--check"])
    assert app.commands["worker"].make_context("worker", command[2:]).params["check"] is True


def test_every_scaled_service_has_a_health_check() -> None:
    # The servers have that of the image.
    without = {name for name in SCALED if "healthcheck" not in SERVICES[name]}
    assert without == set(SERVERS)


def test_the_balancer_starts_everything_and_waits_for_it() -> None:
    needed = SERVICES["balancer"]["depends_on"]
    assert needed == {name: {"condition": "service_healthy"} for name in REPLICAS}


def test_the_balancer_asks_whether_the_servers_are_ready() -> None:
    (source,) = SERVICES["balancer"]["configs"]
    assert source["target"] == "/etc/caddy/Caddyfile"
    # Compose cannot write other sources into a container that is read-only.
    assert list(COMPOSE["configs"][source["source"]]) == ["file"]
    text = (ROOT / COMPOSE["configs"][source["source"]]["file"]).read_text()
    port = final("EXPOSE").text
    assert SERVICES["balancer"]["environment"]["SERVERS"].split() == [f"{name}:{port}" for name in SERVERS]
    assert f"\n:{port} {{\n" in text
    assert text.count("reverse_proxy {$SERVERS} {") == text.count("reverse_proxy") == 2
    (path,) = re.findall(r"health_uri (\S+)", text)
    assert path in OPEN
    assert SERVICES["balancer"]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}{path}"
