"""MetaHuman SDK face reconstruction: a photo in; texture, coefficients and attributes out."""

from emulator.vendors.metahuman.errors import ERRORS
from emulator.vendors.metahuman.openapi import describe
from emulator.vendors.metahuman.routes import build
from emulator.vendors.metahuman.settings import MetaHumanSettings
from emulator.web.vendor import Vendor

vendor = Vendor(
    name="metahuman",
    title="MetaHuman SDK face reconstruction",
    prefixes=("/auth", "/face_recon", "/hair_recon", "/glb_const", "/static"),
    hosts=("api.metahumansdk.io",),
    settings_model=MetaHumanSettings,
    errors=ERRORS,
    operations=("token", "run_pipeline", "static"),
    picture_operations=("run_pipeline",),
    secrets=("token",),
    build=build,
    openapi=describe,
)
