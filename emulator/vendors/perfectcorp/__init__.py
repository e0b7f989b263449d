"""Perfect Corp AI Face Reshape: register, upload, start a task, poll, download."""

from emulator.vendors.perfectcorp.errors import API_OPERATIONS, ERRORS, STORE_OPERATIONS, TASK_OPERATIONS
from emulator.vendors.perfectcorp.openapi import describe
from emulator.vendors.perfectcorp.routes import build
from emulator.vendors.perfectcorp.settings import LIFETIMES, VENDOR, PerfectCorpSettings
from emulator.vendors.perfectcorp.uploads import BUCKET
from emulator.web.vendor import Vendor

vendor = Vendor(
    name=VENDOR,
    title="Perfect Corp AI Face Reshape",
    prefixes=("/s2s", f"/{BUCKET}"),
    hosts=("yce-api-01.makeupar.com", "yce-api-01.perfectcorp.com"),
    settings_model=PerfectCorpSettings,
    errors=ERRORS,
    operations=(*API_OPERATIONS, *STORE_OPERATIONS),
    task_operations=TASK_OPERATIONS,
    picture_operations=("upload",),
    secrets=("client_id", "id_token", "access_token", "X-Amz-Signature"),
    lifetimes=LIFETIMES,
    build=build,
    openapi=describe,
)
