from __future__ import annotations

from emulator.web.redaction import Redaction, mask

KEY = "sk-0123456789abcdef"
SIGNED = "http://h/yce-us/a.jpg?X-Amz-Date=1&X-Amz-Signature=0123abcd&v=1"


def test_a_mask_tells_credentials_apart_and_shows_none() -> None:
    assert mask(KEY).startswith("sk-…#")
    assert mask(KEY) == mask(KEY) != mask(KEY + "0")
    assert mask("short").startswith("…#")


def test_secrets_are_masked_wherever_they_stand() -> None:
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
        ["x-amz-signature", mask("0123abcd")],
        ["a", "1"],
        ["a", ""],
    ]
    headers = [(b"Authorization", f"Bearer {KEY}".encode()), (b"Cookie", b"id=1"), (b"Accept", b"*/*")]
    assert redaction.headers(headers) == [
        ["Authorization", f"Bearer {mask(KEY)}"],
        ["Cookie", mask("id=1")],
        ["Accept", "*/*"],
    ]


def test_a_short_credential_does_not_eat_the_texts() -> None:
    assert Redaction((), "e").text("entered") == "entered"
