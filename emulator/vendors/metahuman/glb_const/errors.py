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
    """Return an error that the vendor's page names. The text is its title, because the text is not known."""
    return MetaHumanEntry(name, 422, text, when, Mark.GUESS, TITLES, causes, code=code)


def _never(name: str, code: int, text: str, mark: Mark, source: str) -> MetaHumanEntry:
    """Return an error that the emulator returns only if a fault asks for it."""
    return MetaHumanEntry(name, 422, text, f"{ONLY_BY_FAULT}.", mark, source, code=code, is_natural=False)


TOKEN = SHARED | ErrorCatalogue(
    [
        UNREGISTERED_TOKEN,
        _documented(
            "AUTHORIZATION_FAIL", 1, "authorization fail", "The token has the state `revoked`, `expired`, `restricted` or `no_balance`.",
            (CredentialRefused,),
        ),
        _titled("GLB_INTERNAL_ERROR", 18, "internal error", "A request with only a token has more than 1 MiB."),
    ]
)  # fmt: skip
"""Errors of the operations of a token without anything else."""

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
            "The schema is no JSON object of lists of texts, an id occurs twice in a list, or the request has more than 1 MiB.",
        ),
    ]
)  # fmt: skip

LOAD_MODEL = TOKEN | LOADED | ErrorCatalogue(
    [
        _documented("INVALID_CHECKSUM", 3, "invalid checksum", "The SHA-256 sum of the model is not `sha256`."),
        _documented("INVALID_MODEL_TYPE", 4, "invalid model type", "The schema does not have the type `data_type`."),
        _documented("INVALID_MODEL_ID", 5, "invalid model id for type", "The schema does not have the id `data_id` in the type."),
        _documented("NOT_GLB", 6, "model must be in glb format", "The model does not begin like a GLB.", (NotGlb,)),
        _documented(
            "MODEL_LOAD_FAIL", 7, "model load fail",
            "The model is a GLB that is damaged, is not glTF 2, or refers to something outside of the file, or it is too large.",
            (GlbUnreadable,),
        ),
    ]
)  # fmt: skip

ASSEMBLE = TOKEN | LOADED | ErrorCatalogue(
    [
        _documented("INVALID_HEAD_CONFIG", 9, "invalid head config", "`head_config` is no JSON object with the members of a response of face reconstruction."),
        _documented("INVALID_MODELS_CONFIG", 10, "invalid models config", "The models config is no JSON object, or a value is no list with one text."),
        _titled("TYPE_NOT_IN_SCHEMA", 11, "invalid model type in request", "The models config has a type that the schema does not have."),
        _titled("MODEL_NOT_LOADED", 12, "invalid model ID in request", "The models config has an id that the schema does not have, or a model that was not uploaded."),
        _titled("INVALID_HEAD_UV", 13, "invalid head_uv file", "`head_uv` cannot be decoded, or its format is not supported.", (ImageError,)),
        _titled("HEAD_UV_TOO_LARGE", 14, "head_uv file size must be less than 2 Mb", "`head_uv` has 2 MiB or more."),
        _titled("CUSTOM_MODEL_TOO_LARGE", 15, "model file size in custom_models must be less than 50 Mb", "A custom model has 50 MiB or more, or the request is too large."),
        _titled("INVALID_CUSTOM_MODEL", 16, "invalid file in custom_models", "A custom model is no GLB, or is damaged.", (NotGlb, GlbUnreadable)),
        _titled("INVALID_HEAD_FIELDS", 17, "invalid json fields in head config", "`blendShapes` or the skin's `color` in `head_config` is missing or has a wrong value."),
        _never("ASSEMBLE_INTERNAL_ERROR", 19, "internal error: assemble", Mark.GUESS, TITLES),
    ]
)  # fmt: skip
