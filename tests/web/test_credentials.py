from __future__ import annotations

from emulator.web.credentials import Credentials


def test_without_a_list_anything_that_is_not_empty_is_good() -> None:
    assert Credentials().accept("anything")
    assert not Credentials().accept("")


def test_with_a_list_only_what_it_names_in_any_spelling() -> None:
    credentials = Credentials(["key", "other:secret"])
    assert credentials.accept("key", "key:whatever")
    assert credentials.accept("other", "other:secret")
    assert not credentials.accept("other", "other:wrong")
    assert not credentials.accept("unknown")
