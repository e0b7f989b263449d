from __future__ import annotations

import pytest

from emulator.world.redaction import DEEPEST, Redaction, TooDeep, mask

KEY = "sk-0123456789abcdef"
SIGNED = "http://h/yce-us/a.jpg?X-Amz-Date=1&X-Amz-Signature=0123abcd&v=1"


def test_masks_distinguish_credentials_and_hide_them() -> None:
    assert mask(KEY).startswith("sk-…#")
    assert mask(KEY) == mask(KEY) != mask(KEY + "0")
    assert mask("short").startswith("…#")


def test_secrets_are_masked_in_documents_queries_and_headers() -> None:
    redaction = Redaction(("api_secret", "X-Amz-Signature"), KEY)
    document = {"API_SECRET": "abc", "list": [SIGNED, {"deep": f"by {KEY}!"}], "number": 1, "none": None}
    shown = redaction.document(document)
    assert shown == {
        "API_SECRET": mask("abc"),
        "list": [SIGNED.replace("0123abcd", mask("0123abcd")), {"deep": f"by {mask(KEY)}!"}],
        "number": 1,
        "none": None,
    }
    assert redaction.query(b"x-amz-signature=0123abcd&a=1&a=") == [
        ("x-amz-signature", mask("0123abcd")),
        ("a", "1"),
        ("a", ""),
    ]
    headers = [(b"Authorization", f"Bearer {KEY}".encode()), (b"Cookie", b"id=1"), (b"Accept", b"*/*")]
    assert redaction.headers(headers) == [
        ("Authorization", f"Bearer {mask(KEY)}"),
        ("Cookie", mask("id=1")),
        ("Accept", "*/*"),
    ]


def test_user_names_and_passwords_of_urls_are_masked() -> None:
    redaction = Redaction((), None)
    url, shown = "http://user:pass@host/a.jpg", "http://***@host/a.jpg"
    assert redaction.text(f"see {url}") == f"see {shown}"
    assert redaction.document({"url": url, url: [url]}) == {"url": shown, shown: [shown]}
    assert redaction.query(b"u=http%3A%2F%2Fuser%3Apass%40host%2Fa.jpg") == [("u", shown)]
    assert redaction.headers([(b"Referer", url.encode())]) == [("Referer", shown)]


def test_a_short_credential_is_not_masked_inside_words() -> None:
    assert Redaction((), "e").text("entered") == "entered"


def test_a_secret_of_any_type_is_masked_and_null_stays() -> None:
    redaction = Redaction(("id_token",), None)
    shown = redaction.document({"id_token": ["abc"], "in": {"ID_TOKEN": {"a": 1}, "id_token": None}})
    assert shown == {"id_token": mask('["abc"]'), "in": {"ID_TOKEN": mask('{"a": 1}'), "id_token": None}}


def test_secrets_are_masked_in_broken_json() -> None:
    redaction = Redaction(("client_id", "id_token"), None)
    first, second = r"abc\"d", "cut o"
    text = f'{{"client_id" : "{first}", "a": "client_id", "ID_TOKEN":"{second}'
    assert redaction.text(text) == text.replace(first, mask(first)).replace(second, mask(second))


VALUE = "supersecretkey"


@pytest.mark.parametrize(
    "text",
    [
        "{'api_key': '%s', 'a': 'b'}",
        "{'a': 1, 'API_KEY' : '%s",
        "{'api_key': b'%s'}",
        "{'api_key': \"%s\"}",
        "{api_key: '%s'}",
        "Client(api_key='%s')",
        r'{"body": "{\"api_key\": \"%s\"}", ',
    ],
)
def test_secrets_are_masked_in_python_and_javascript_literals(text: str) -> None:
    assert Redaction(("api_key", "a\\"), None).text(text % VALUE) == text % mask(VALUE)


def test_in_a_python_repr_exactly_the_secrets_of_any_type_are_masked() -> None:
    redaction = Redaction(("api_key",), None)
    number = redaction.text("{'api_key': 123456789, 'a': 1}")
    assert number == f"{{'api_key': '{mask('123456789')}', 'a': 1}}"
    assert VALUE not in redaction.text(f"{{'api_key': ['first', '{VALUE}'], 'a': 1}}")
    for text in ("{'api_key': None, 'b': 'c'}", "{'my_api_key': 'a'}", "no api_key: that isn't 'good'"):
        assert redaction.text(text) == text


def test_lone_surrogates_are_escaped() -> None:
    assert Redaction((), None).document({"\ud800": ["a\udfff"]}) == {r"\ud800": [r"a\udfff"]}


def test_a_document_that_is_nested_too_deeply_raises_too_deep() -> None:
    document: object = 1
    for _ in range(DEEPEST):
        document = [document]
    redaction = Redaction((), None)
    assert redaction.document(document) == document
    with pytest.raises(TooDeep):
        redaction.document([document])
