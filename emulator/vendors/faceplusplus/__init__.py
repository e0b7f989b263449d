"""The emulated vendor Face++. Each of its APIs has a package of its own."""

from emulator.vendors.faceplusplus.application import DIALECT, install
from emulator.vendors.faceplusplus.beautify.operations import api as beautify
from emulator.vendors.faceplusplus.detect.operations import api as detect
from emulator.vendors.faceplusplus.face3d.operations import api as face3d
from emulator.vendors.faceplusplus.facialfeatures.operations import api as facialfeatures
from emulator.vendors.faceplusplus.settings import FacePlusPlusSettings
from emulator.vendors.faceplusplus.thousandlandmark.operations import api as thousandlandmark
from emulator.web.vendor import Vendor

vendor = Vendor(
    package=__name__,
    title="Face++",
    hosts=("api-us.faceplusplus.com", "api-cn.faceplusplus.com"),
    prefixes=("/facepp",),
    credential=("api_key", "api_secret"),
    apis=(face3d, detect, thousandlandmark, facialfeatures, beautify),
    dialect=DIALECT,
    settings_model=FacePlusPlusSettings,
    install=install,
)
