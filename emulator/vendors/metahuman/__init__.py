"""The emulated vendor MetaHuman SDK. Each of its APIs has a package of its own."""

from fastapi import FastAPI

from emulator.backends.stateful import DeferredState, Stateful
from emulator.vendors.metahuman import application
from emulator.vendors.metahuman.application import DIALECT
from emulator.vendors.metahuman.settings import MetaHumanSettings
from emulator.web.vendor import Vendor
from emulator.world.world import World


def _install(app: FastAPI, world: World, settings: MetaHumanSettings) -> None:
    application.install(app, world, settings)

    # The start does not need the code of the two APIs.
    def static_files() -> Stateful:
        from emulator.vendors.metahuman.static.store import StaticFiles  # noqa: PLC0415 - on demand, see above

        return StaticFiles(world)

    def schemas() -> Stateful:
        from emulator.vendors.metahuman.glb_const.store import Schemas  # noqa: PLC0415 - on demand, see above

        return Schemas()

    world.add(DeferredState(static_files), DeferredState(schemas))


vendor = Vendor(
    package=__name__,
    title="MetaHuman SDK",
    hosts=("api.metahumansdk.io",),
    prefixes=("/auth", "/face_recon", "/hair_recon", "/glb_const", "/static"),
    credential=("token",),
    apis=("token", "face_recon", "static", "hair_recon", "glb_const"),
    api_paths={
        "token": ("/auth",),
        "face_recon": ("/face_recon/run_pipeline",),
        "static": ("/static", "/face_recon/static"),
        "hair_recon": ("/hair_recon",),
        "glb_const": ("/glb_const",),
    },
    dialect=DIALECT,
    settings_model=MetaHumanSettings,
    install=_install,
)
