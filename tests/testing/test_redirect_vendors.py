from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from emulator.backends.queue.pool import WorkerPool
from emulator.server import running_server
from emulator.settings import Settings
from emulator.web.vendor import discover_vendors
from face_api_emulator.testing.redirect import redirected

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_every_name_of_every_vendor_leads_to_the_emulator(tmp_path: Path, workers: WorkerPool) -> None:
    vendors = discover_vendors(Settings().vendor_packages)
    names = [name for vendor in vendors for name in (*vendor.hosts, *vendor.stores)]
    with running_server(Settings(data_dir=tmp_path, control="on"), workers=workers, tls_port=0) as server:
        plain, tls = urlsplit(server.base_url), urlsplit(server.tls_url or "")
        assert server.ca_file is not None
        with (
            requests.Session() as session,
            redirected(
                names,
                plain=(str(plain.hostname), int(plain.port or 0)),
                tls=(str(tls.hostname), int(tls.port or 0)),
                ca=server.ca_file.read_text(),
            ),
        ):
            for name in names:
                for scheme in ("http", "https"):
                    # Under a vendor's name, only the vendor's API answers.
                    answer = session.get(f"{scheme}://{name}/_emulator/health")
                    assert answer.status_code in {403, 404}, name
            said = session.post("https://api-us.faceplusplus.com/facepp/v1/3dface")
            assert (said.status_code, said.json()["error_message"]) == (400, "MISSING_ARGUMENTS: api_key")
