"""``face-emulator drift``, which starts an emulator and compares it with a real service."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from rich.console import Console

from emulator.drift.correction import Corrector
from emulator.drift.exchange import NoResponse, Pace, Side
from emulator.drift.mask import Mask
from emulator.drift.report import as_json, print_findings, print_samples
from emulator.drift.run import Compared, compare
from emulator.drift.samples import LISTED, Sample, golden_folder, read_samples, write_sample
from emulator.server import running_server
from emulator.settings import Settings
from emulator.web.vendor import Vendor, discover_vendors

POLITE_SECONDS: Final = 1.25
"""Seconds between calls to a real service. The strictest rate limit is 250 calls in 300 s (Perfect Corp)."""

WARM_UP_SECONDS: Final = 120.0
"""Seconds to wait for a response of the emulator, which loads the face core for its first picture."""


class DriftFailed(Exception):
    """The comparison cannot start, or cannot be completed."""


@dataclass(frozen=True)
class DriftOptions:
    """The options of a comparison.

    Attributes
    ----------
    vendor : str
        Name of the vendor.
    base_url : str
        Base URL of the real service.
    key : str, optional
        The parts of the vendor's key, joined by colons, such as ``api_key:api_secret``.
    only : tuple of str
        Names of the samples to send. If empty, all are sent.
    golden : Path, optional
        Folder to read samples from, instead of the vendor's folder.
    record : Path, optional
        Folder to write the real service's responses to, as samples.
    report : Path, optional
        File to write the findings to, as JSON.
    pace_seconds : float, optional
        Seconds between two calls to the real service. None means ``POLITE_SECONDS``, or 0 for a service on
        this machine.
    timeout_seconds : float
        Seconds to wait for each response of the real service.
    """

    vendor: str
    base_url: str = ""
    key: str | None = None
    only: tuple[str, ...] = ()
    golden: Path | None = None
    record: Path | None = None
    report: Path | None = None
    pace_seconds: float | None = None
    timeout_seconds: float = 30.0


def list_samples(options: DriftOptions, console: Console) -> None:
    """Print the samples of a vendor.

    Raises
    ------
    DriftFailed
        If the vendor or the folder does not exist, or a sample is not valid.
    """
    print_samples(console, _chosen(_vendor(options.vendor), options))


def run_drift(options: DriftOptions, console: Console, confirm: Callable[[], bool]) -> bool:
    """Compare the real service with the emulator, print the differences, and return whether there are any.

    ``confirm`` asks the user for permission. It is called before the first request to another machine. If it
    returns false, nothing is sent.

    Raises
    ------
    DriftFailed
        If the comparison cannot start, or cannot be completed. If it cannot be completed, the differences so
        far are printed first.
    """
    vendor = _vendor(options.vendor)
    chosen = _chosen(vendor, options)
    sent = {name: sample for name, sample in chosen.items() if sample.only_emulated is None}
    skipped = {
        name: sample.only_emulated for name, sample in chosen.items() if sample.only_emulated is not None
    }
    if not sent:
        raise DriftFailed(
            f"no sample can be sent to a real service; choose others with --only: {json.dumps(skipped)}"
        )
    real = _real_side(options, vendor)
    _announce(console, vendor, sent, real)
    if not _is_loopback(_host(options.base_url)) and not confirm():
        raise DriftFailed("nothing was sent; answer the question with yes, or use --yes")

    settings = _settings()
    corrector = Corrector(vendor, vendor.settings_model.model_validate(settings.vendors.get(vendor.name, {})))
    compared: list[Compared] = []
    failed: str | None = None
    with real.client, _private_emulator(settings) as emulated, console.status("") as status:
        try:
            for one in compare(sent, real, emulated, corrector):
                compared.append(one)
                status.update(f"{len(compared)} of {len(sent)} samples")
                if options.record is not None and one.recorded is not None:
                    write_sample(options.record, one.name, one.recorded)
        except NoResponse as error:
            failed = Mask(tuple((real.credential or {}).values())).without_secrets(str(error))
    together = corrector.together([finding.correction for one in compared for finding in one.findings])
    print_findings(console, compared, together)
    _print_missing(console, compared, skipped, options.record)
    if options.report is not None:
        document = as_json(vendor.name, options.base_url, compared, skipped, together, failed)
        options.report.write_text(document)
    if failed is not None:
        raise DriftFailed(failed)
    return any(one.findings for one in compared)


def _real_side(options: DriftOptions, vendor: Vendor) -> Side:
    is_here = _is_loopback(_host(options.base_url))
    seconds = options.pace_seconds
    if seconds is None:
        seconds = 0.0 if is_here else POLITE_SECONDS
    credential = _credential(vendor, options.key)
    client = httpx.Client(base_url=options.base_url, timeout=options.timeout_seconds)
    return Side(options.base_url, client, Pace(seconds), credential)


@contextmanager
def _private_emulator(settings: Settings) -> Iterator[Side]:
    with (
        running_server(settings) as listening,
        # Ignore the proxy variables of the environment, because they are for the real service.
        httpx.Client(base_url=listening.base_url, timeout=WARM_UP_SECONDS, trust_env=False) as client,
    ):
        yield Side("the emulator", client, Pace(0))


def _settings() -> Settings:
    """Return the user's settings, with states for the samples' credentials, one worker and no stores."""
    given = Settings()
    return given.model_copy(
        update={
            "credentials": {**given.credentials, **LISTED},
            "strict": False,
            "workers": 1,
            "data_dir": None,
            "database_url": None,
            "blobs_url": None,
        }
    )


def _vendor(name: str) -> Vendor:
    vendors = {vendor.name: vendor for vendor in discover_vendors(Settings().vendor_packages)}
    if name not in vendors:
        raise DriftFailed(f"there is no vendor {name}; choose one of {', '.join(vendors)}")
    return vendors[name]


def _chosen(vendor: Vendor, options: DriftOptions) -> dict[str, Sample]:
    try:
        samples = read_samples(options.golden or golden_folder(vendor))
    except (ValueError, OSError) as error:
        raise DriftFailed(f"the samples cannot be read: {error}") from error
    unknown = [name for name in options.only if name not in samples]
    if unknown:
        raise DriftFailed(f"there is no sample {', '.join(unknown)}; choose from {', '.join(samples)}")
    return {name: sample for name, sample in samples.items() if not options.only or name in options.only}


def _host(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DriftFailed(f"{base_url!r} is not a base URL; write one like https://api.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise DriftFailed(
            "the base URL must not have credentials, a query or a fragment; pass the key with --key"
        )
    return parts.hostname


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credential(vendor: Vendor, key: str | None) -> dict[str, str]:
    """Return the parts of a key, by the names that the placeholders in the samples use."""
    names = vendor.credential
    form = ":".join(names)
    if not key:
        raise DriftFailed(f"a key is required; pass {form} with --key or in FACE_DRIFT_KEY")
    parts = key.split(":", len(names) - 1)
    if len(parts) != len(names) or not all(parts):
        raise DriftFailed(f"the key does not have the vendor's form; write {form}")
    return dict(zip(names, parts, strict=True))


def _announce(console: Console, vendor: Vendor, samples: Mapping[str, Sample], real: Side) -> None:
    calls = sum(len(sample.steps) for sample in samples.values())
    pause = f"{real.pace.seconds:g} s apart"
    lines = [
        f"{vendor.title}: {len(samples)} samples, at least {calls} calls to {real.name}, {pause}.",
        "The vendor may bill these calls to your key.",
        "The pictures show synthetic faces, not real people. The command does not print or store the key.",
    ]
    if urlsplit(real.name).scheme == "http" and not _is_loopback(_host(real.name)):
        lines.append("The URL is not https, so the key is not encrypted in transit.")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_missing(
    console: Console, compared: list[Compared], skipped: Mapping[str, str], folder: Path | None
) -> None:
    lines = [f"{name} was not sent: {reason}" for name, reason in skipped.items()]
    if folder is not None:
        whole = [one for one in compared if one.recorded is not None]
        lines.append(f"recorded in {folder}: {len(whole)} of {len(compared)} samples")
        lines += [
            f"{one.name} was not recorded: some of its steps could not be sent"
            for one in compared
            if one not in whole
        ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
