"""The errors of the GLB constructor."""

from __future__ import annotations

from emulator.face.errors import GlbUnreadable, ImageError, NotGlb
from emulator.vendors.metahuman.errors import SHARED, UNREGISTERED_TOKEN, MetaHumanEntry
from emulator.world.credentials import CredentialRefused
from emulator.world.error_catalogue import ONLY_BY_FAULT, ErrorCatalogue, Mark

PAGE = "https://docs.metahumansdk.io/service-apis-for-creating-virtual-avatars errors/glb-constructor"

TITLES = f"{PAGE}: the titles of the errors; the texts are inferred from them"


def _documented(
    name: str, code: int, text: str, when: str, causes: tuple[type[Exception], ...] = ()
) -> MetaHumanEntry:
    """Return an error with the text from the vendor's page."""
    return MetaHumanEntry(name, 422, text, when, Mark.CONFIRMED, PAGE, causes, code=code)


def _titled(
    name: str, code: int, text: str, when: str, causes: tuple[type[Exception], ...] = ()
) -> MetaHumanEntry:
    """Return an error that the vendor's page names. Its text is not known, so the title replaces it."""
    return MetaHumanEntry(name, 422, text, when, Mark.GUESS, TITLES, causes, code=code)


def _never(name: str, code: int, text: str, mark: Mark, source: str) -> MetaHumanEntry:
    """Return an error that the emulator returns only as an injected fault."""
    return MetaHumanEntry(name, 422, text, f"{ONLY_BY_FAULT}.", mark, source, code=code, is_natural=False)


TOKEN = SHARED | ErrorCatalogue(
    [
        UNREGISTERED_TOKEN,
        _documented(
            "AUTHORIZATION_FAIL", 1, "authorization fail", "The token has the state `revoked`, `expired`, `restricted` or `no_balance`.",
            (CredentialRefused,),
        ),
        _titled("GLB_INTERNAL_ERROR", 18, "internal error", "A request to `get_schema` or `token_status` is larger than 1 MiB. The other operations return it only as an injected fault."),
    ]
)  # fmt: skip
"""Errors that all operations of the GLB constructor can return."""

LOADED = ErrorCatalogue(
    [
        _documented("SCHEMA_NOT_LOADED", 2, "schema not loaded", "The token has no schema."),
        _never("SCHEMA_UNREADABLE", 8, "schema reading problems", Mark.CONFIRMED, PAGE),
    ]
)  # fmt: skip
"""Errors of the operations that need a schema."""

READ_SCHEMA = TOKEN | LOADED

LOAD_SCHEMA = TOKEN | ErrorCatalogue(
    [
        _titled("MISSING_SCHEMA", 20, "missing schema", "The file `schema` is empty."),
        _titled(
            "SCHEMA_ERROR", 21, "schema error",
            "The schema is not a JSON object with lists of strings, a list has the same id twice, or the request is larger than 1 MiB.",
        ),
    ]
)  # fmt: skip

LOAD_MODEL = TOKEN | LOADED | ErrorCatalogue(
    [
        _documented("INVALID_CHECKSUM", 3, "invalid checksum", "`sha256` is not the SHA-256 checksum of the model."),
        _documented("INVALID_MODEL_TYPE", 4, "invalid model type", "The schema does not list the type `data_type`."),
        _documented("INVALID_MODEL_ID", 5, "invalid model id for type", "The schema does not list the id `data_id` for this type."),
        _documented("NOT_GLB", 6, "model must be in glb format", "The model does not begin with the header of a GLB file.", (NotGlb,)),
        _documented(
            "MODEL_LOAD_FAIL", 7, "model load fail",
            "The GLB file is damaged, is not glTF 2, refers to something outside the file, or is too large.",
            (GlbUnreadable,),
        ),
    ]
)  # fmt: skip

ASSEMBLE = TOKEN | LOADED | ErrorCatalogue(
    [
        _documented("INVALID_HEAD_CONFIG", 9, "invalid head config", "`head_config` is not a JSON object with the objects `face` and `skin`, as in a response of face reconstruction."),
        _documented("INVALID_MODELS_CONFIG", 10, "invalid models config", "The models config is not a JSON object, or one of its values is not a list of exactly one string."),
        _titled("TYPE_NOT_IN_SCHEMA", 11, "invalid model type in request", "The models config has a type that the schema does not list."),
        _titled("MODEL_NOT_LOADED", 12, "invalid model ID in request", "The models config has an id that the schema does not list, or the id of a model that was not uploaded."),
        _titled("INVALID_HEAD_UV", 13, "invalid head_uv file", "`head_uv` cannot be decoded, or its format is not supported.", (ImageError,)),
        _titled("HEAD_UV_TOO_LARGE", 14, "head_uv file size must be less than 2 Mb", "`head_uv` is 2 MiB or larger."),
        _titled("CUSTOM_MODEL_TOO_LARGE", 15, "model file size in custom_models must be less than 50 Mb", "A custom model is 50 MiB or larger, or the request is too large."),
        _titled("INVALID_CUSTOM_MODEL", 16, "invalid file in custom_models", "A custom model is not a GLB file, or is damaged.", (NotGlb, GlbUnreadable)),
        _titled("INVALID_HEAD_FIELDS", 17, "invalid json fields in head config", "`blendShapes` or the skin's `color` in `head_config` is missing or has a wrong value."),
        _never("ASSEMBLE_INTERNAL_ERROR", 19, "internal error: assemble", Mark.GUESS, TITLES),
    ]
)  # fmt: skip
