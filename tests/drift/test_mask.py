from __future__ import annotations

import base64
import itertools
import re
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.drift.comparison import differences
from emulator.drift.mask import Mask
from emulator.drift.samples import picture

SECRET = "sk-1234secret"  # noqa: S105 - no real secret


def masked(body: Any, status: int = 200, *, varies: tuple[str, ...] = ()) -> Any:
    answer = {"status": status, "type": "application/json", "headers": [], "body": body}
    return Mask((SECRET, "ab"), varies).answer(answer)["body"]


@pytest.mark.parametrize(
    "words",
    [
        "This API key is not recognized.",
        "MISSING_ARGUMENTS: image_url_1, image_file_1, image_base64_1",
        "AUTHORIZATION_ERROR: Insufficient Account Balance",
        "src_file_url is required but wasn't included in your request.",
        "error_exceed_max_image_size",
        "unknown_internal_error",
        "image/jpeg",
        "ApiPaygToken",
        "413 Request Entity Too Large",
        "about",  # contains `ab`, which is masked only as a whole word
        "",
    ],
)
def test_words_are_not_masked(words: str) -> None:
    assert masked({"error": words}, 400) == {"error": words}


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        (f"no such key: {SECRET}!", r"no\ such\ key:\ \S+!"),
        ("key ab is bad", r"key\ \S+\ is\ bad"),
        (
            "1790000000,df7bcfa4-bd88-4550-91c6-09d37836eaec",
            r"\d{10},[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ),
        ("/static/me_c4037e9243900bad_texture.png", r"/static/me_[0-9a-f]{16}_texture\.png"),
        (
            "snUT6qP/QxdJG7dX4RQq7TxUMkhEWRevxozHYNRenGBapSboWqesAkpUoQ4iJw5V",
            "[A-Za-z0-9+/]{64}",
        ),
        ("0xLO2YkrhmJQfl-IysTrYjCfV5zfIE5IBKzrqmOuDpg=", "[A-Za-z0-9_-]{43}="),
        ("<RequestId>4KJ2H3G4F5D6S7A8</RequestId>", "<RequestId>[0-9A-Z]{16}</RequestId>"),
        ("from 203.0.113.7 for me@example.com", r"from\ \d+(\.\d+){3}\ for\ \S+@\S+"),
        ("2026-11-21T10:00:00Z", r"\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("#a0b1c2", "#[0-9a-f]{6}"),
    ],
)
def test_random_or_personal_text_becomes_an_expression_that_matches_it(text: str, expression: str) -> None:
    assert masked(text) == {"$matches": expression}
    assert re.fullmatch(expression, text)


def test_a_member_named_like_an_id_is_always_masked() -> None:
    body = {"task_id": "easy", "token": "t", "userId": "joe", "client_secret": "s", "paid": "yes"}
    plain = {"$type": "string"}
    assert masked(body) == {name: plain for name in body if name != "paid"} | {"paid": "yes"}


def test_a_url_keeps_its_suffix_and_the_names_of_its_query() -> None:
    url = f"https://bucket.example/x/abc.jpg?X-Sig=deadbeef&Expires=7200&{SECRET}=1"
    assert masked(url) == {"$url": ".jpg", "query": ["***", "Expires", "X-Sig"]}


def test_a_picture_becomes_its_kind_size_and_digest() -> None:
    data = picture("ok-frontal.jpg")
    pattern = masked(data)
    assert {name: pattern[name] for name in ("$file", "width", "height", "bytes")} == {
        "$file": "jpeg",
        "width": 640,
        "height": 640,
        "bytes": len(data),
    }
    assert masked(base64.b64encode(data).decode()) == pattern
    assert masked(base64.b64encode(bytes(range(256)) * 2).decode())["$file"] == "unknown"


def test_numbers_of_a_success_become_types_and_codes_of_an_error_stay() -> None:
    body = {"status": 200, "units": 137, "ratio": 0.5, "vector": [0.1, 2, 3, 4], "flag": True, "none": None}
    assert masked(body) == {
        "status": 200,
        "units": {"$type": "integer"},
        "ratio": {"$type": "number"},
        "vector": {"$numbers": 4},
        "flag": True,
        "none": None,
    }
    assert masked({"code": 4, "at": 1790000000}, 422) == {"code": 4, "at": {"$type": "integer"}}


def test_a_varying_member_keeps_only_its_shape() -> None:
    body = {"grants": [{"kind": "gift", "left": 3, "next": None}] * 2, "gender": "Male", "none": []}
    assert masked(body, varies=("body.grants", "body.gender", "body.none")) == {
        "grants": {
            "$each": {
                "kind": {"$type": "string or null"},
                "left": {"$type": "integer or null"},
                "next": {"$type": "any"},
            }
        },
        "gender": {"$type": "string or null"},
        "none": {"$each": {"$type": "any"}},
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text("abc_id", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(body=JSON, status=st.sampled_from([200, 404]))
def test_a_masked_response_matches_the_original(body: Any, status: int) -> None:
    answer = {"status": status, "type": "application/json", "headers": [], "body": body}
    assert list(differences(Mask().answer(answer), answer)) == []


def test_ids_of_the_same_kind_match_each_other() -> None:
    """The expression does not depend on the characters that an id happens to contain."""
    generator = np.random.default_rng(1)
    pairs = generator.bytes(48 * 400)
    ids = [base64.b64encode(pairs[start : start + 48]).decode() for start in range(0, len(pairs), 48)]
    answers: list[dict[str, Any]] = [
        {
            "status": 200,
            "type": None,
            "headers": [],
            "body": {"x": value, "n": str(uuid.UUID(bytes=pairs[i : i + 16]))},
        }
        for i, value in enumerate(ids)
    ]
    for one, other in itertools.pairwise(answers):
        expected = Mask().answer(one)
        assert expected["body"]["x"].keys() == {"$matches"}
        assert list(differences(expected, other)) == []
