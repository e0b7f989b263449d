"""Face++ 3D Face: one to three photos in; OBJ, MTL, texture and view matrices out."""

from emulator.vendors.faceplusplus.errors import ERRORS
from emulator.vendors.faceplusplus.openapi import describe
from emulator.vendors.faceplusplus.routes import build
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings
from emulator.web.vendor import Vendor

vendor = Vendor(
    name="faceplusplus",
    title="Face++ 3D Face",
    prefixes=("/facepp",),
    hosts=("api-us.faceplusplus.com", "api-cn.faceplusplus.com"),
    settings_model=FacePlusPlusSettings,
    errors=ERRORS,
    operations=("3dface",),
    picture_operations=("3dface",),
    secrets=("api_key", "api_secret"),
    build=build,
    openapi=describe,
)
