"""The emulated vendor Face++. Each of its APIs has a package of its own."""

from emulator.vendors.faceplusplus.application import DIALECT, install
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings
from emulator.web.vendor import Vendor

vendor = Vendor(
    package=__name__,
    title="Face++",
    hosts=("api-us.faceplusplus.com", "api-cn.faceplusplus.com"),
    prefixes=("/facepp",),
    credential=("api_key", "api_secret"),
    apis=("face3d", "detect", "thousandlandmark", "facialfeatures", "beautify"),
    api_paths={
        "face3d": ("/facepp/v1/3dface",),
        "detect": ("/facepp/v3/detect",),
        "thousandlandmark": ("/facepp/v1/face/thousandlandmark",),
        "facialfeatures": ("/facepp/v1/facialfeatures",),
        "beautify": ("/facepp/v1/beautify", "/facepp/v2/beautify"),
    },
    dialect=DIALECT,
    settings_model=FacePlusPlusSettings,
    install=install,
)
