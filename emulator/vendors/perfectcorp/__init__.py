"""The emulated vendor Perfect Corp: files, AI Face Reshape, units and webhooks."""

from emulator.vendors.perfectcorp.application import DIALECT, install
from emulator.vendors.perfectcorp.files.presigned import BUCKET, STORE_HOST
from emulator.vendors.perfectcorp.settings import HOSTS, PerfectCorpSettings
from emulator.web.vendor import Vendor

vendor = Vendor(
    package=__name__,
    title="Perfect Corp",
    hosts=HOSTS,
    prefixes=("/s2s", f"/{BUCKET}"),
    stores={STORE_HOST: f"/{BUCKET}"},
    credential=("key",),
    apis=("files", "reshape", "access", "units"),
    api_paths={
        "files": ("/s2s/v2.0/file", "/s2s/v2.1/file", "/s2s/v1.0/file", "/s2s/v1.1/file", f"/{BUCKET}"),
        "reshape": ("/s2s/v2.0/task",),
        "access": ("/s2s/v1.0/client/auth",),
        "units": ("/s2s/v1.0/client/credit", "/s2s/v2.0/credit"),
    },
    dialect=DIALECT,
    settings_model=PerfectCorpSettings,
    secrets=("client_id", "id_token", "access_token", "X-Amz-Signature"),
    has_webhooks=True,
    security={"type": "http", "scheme": "bearer"},
    install=install,
)
