"""The environment variables that make a process use an emulator."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from face_api_emulator.client import Client
from face_api_emulator.trust import (
    PHP_INI,
    TrustFiles,
    environment,
    local_bundle,
    php_ini,
    trust_files,
)

CREDENTIAL = "face-emulator"
"""Credential in the variables. Processes with these variables share it."""


def variables_of(
    client: Client, url: str, parent: Mapping[str, str], *, has_proxy: bool = True
) -> dict[str, str]:
    """Return the variables that make a process use the emulator at ``url``.

    They override variables of the same name in ``parent``, the environment of the caller.
    ``FACE_EMULATOR_URL`` is the base URL of ``client``. Each vendor has a ``<VENDOR>_URL`` and one variable
    for each part of its credential. If the emulator serves TLS, further variables make clients trust its
    certificates and, with ``has_proxy``, use it as a proxy. If this machine does not have the certificates,
    copies are stored in the user's cache.
    """
    health = client.health()
    variables = {"FACE_EMULATOR_URL": client.base_url}
    for vendor, parts in health.credentials.items():
        name = vendor.upper()
        variables[f"{name}_URL"] = url
        variables |= {f"{name}_{part.upper()}": CREDENTIAL for part in parts}
    if health.tls is not None:
        files = trusted(client, Path(health.tls.folder))
        variables |= environment(files, health.tls.names, url if has_proxy else None, parent)
    return variables


def trusted(client: Client, folder: Path) -> TrustFiles:
    """Return the emulator's files for clients.

    If ``folder`` does not have these files, they are copied from the emulator to the user's cache.
    """
    root = client.certificates("ca.pem")
    files = trust_files(folder)
    if files.ca.is_file() and files.ca.read_bytes() == root and files.bundle.is_file():
        return files
    files = trust_files(_cache() / hashlib.sha256(root).hexdigest()[:16])
    files.php.mkdir(parents=True, exist_ok=True)
    _write(files.bundle, local_bundle(root) or client.certificates("bundle.pem"))
    _write(files.trust_store, client.certificates("truststore.p12"))
    _write(files.php / PHP_INI, php_ini(files.bundle))
    _write(files.ca, root)
    return files


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "face-api-emulator" / "tls"


def _write(path: Path, content: bytes) -> None:
    """Replace a file atomically, because other processes may read it."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
