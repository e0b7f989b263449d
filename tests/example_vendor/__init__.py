"""The fictional vendor Example Faces, with one operation of each kind."""

from emulator.web.vendor import Vendor
from example_vendor.application import DIALECT, VENDOR, install
from example_vendor.settings import ExampleSettings

vendor = Vendor(
    package=VENDOR,
    title="Example Faces",
    hosts=("api.faces.example",),
    prefixes=("/example",),
    credential=("key",),
    apis=("count", "crop"),
    dialect=DIALECT,
    settings_model=ExampleSettings,
    secrets=("X-Example-Key",),
    has_webhooks=True,
    security={"type": "apiKey", "in": "header", "name": "X-Example-Key"},
    install=install,
)
