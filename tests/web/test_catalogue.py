from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from emulator.face.errors import ImageError, ImageUndecodable, NoFaceFound
from emulator.web.catalogue import CatalogueEntry, ErrorCatalogue, Mark, Wording


def entry(name: str, *causes: type[Exception], text: str = "text") -> CatalogueEntry:
    return CatalogueEntry(name, 400, text, "Sometimes.", Mark.GUESS, "nowhere", causes)


def test_a_domain_error_finds_the_entry_of_its_class_or_of_the_nearest_base() -> None:
    catalogue = ErrorCatalogue([entry("picture", ImageError), entry("undecodable", ImageUndecodable)])
    assert catalogue.for_cause(ImageUndecodable("x")).name == "undecodable"
    assert catalogue.for_cause(ImageError()).name == "picture"
    with pytest.raises(LookupError, match="NoFaceFound"):
        catalogue.for_cause(NoFaceFound())


def test_a_text_is_filled_whole_or_not_at_all() -> None:
    template = entry("missing", text="MISSING: {param}")
    assert template.occur(param="a").text == "MISSING: a"
    with pytest.raises(KeyError):
        template.occur()


def test_an_error_can_be_said_in_other_words() -> None:
    error = entry("missing", text="MISSING: {param}").occur(param="a")
    assert error.worded(None) is error
    other = error.worded(Wording(status=418, text="no {param}"))
    assert (other.entry.name, other.entry.status, other.text) == ("missing", 418, "no a")
    assert error.worded(Wording(status=418)).text == "MISSING: a"


def test_names_and_causes_are_taken_once() -> None:
    with pytest.raises(ValueError, match="two errors are named a"):
        ErrorCatalogue([entry("a"), entry("a")])
    with pytest.raises(ValueError, match="NoFaceFound is mapped twice"):
        ErrorCatalogue([entry("a", NoFaceFound), entry("b", NoFaceFound)])


def test_entries_keep_their_order_and_are_found_by_name() -> None:
    catalogue = ErrorCatalogue([entry("b"), entry("a")])
    assert [item.name for item in catalogue] == ["b", "a"]
    assert catalogue["a"].name == "a"


def test_an_entry_of_a_vendors_own_class_comes_out_as_one() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Numbered(CatalogueEntry):
        number: int

    catalogue = ErrorCatalogue([Numbered("a", 400, "{x}", "Sometimes.", Mark.GUESS, "nowhere", number=7)])
    assert catalogue["a"].number == 7
    said = catalogue["a"].occur(x="y").worded(Wording(status=418)).entry
    assert said == replace(catalogue["a"], status=418)
    assert said.codes == ()
