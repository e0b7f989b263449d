from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from emulator.face.errors import ImageError, ImageUndecodable, NoFaceFound
from emulator.world.error_catalogue import ONLY_BY_FAULT, CatalogueEntry, ErrorCatalogue, ErrorOverride, Mark


def entry(name: str, *causes: type[Exception], text: str = "text") -> CatalogueEntry:
    return CatalogueEntry(name, 400, text, "Sometimes.", Mark.GUESS, "nowhere", causes)


def test_for_cause_returns_the_entry_of_the_class_or_of_its_nearest_base() -> None:
    catalogue = ErrorCatalogue([entry("picture", ImageError), entry("undecodable", ImageUndecodable)])
    assert catalogue.for_cause(ImageUndecodable("x")).name == "undecodable"
    assert catalogue.for_cause(ImageError()).name == "picture"
    with pytest.raises(LookupError, match="NoFaceFound"):
        catalogue.for_cause(NoFaceFound())


def test_a_text_needs_all_of_its_placeholders() -> None:
    template = entry("missing", text="MISSING: {param}")
    assert template.occur(param="a").text == "MISSING: a"
    with pytest.raises(KeyError):
        template.occur()


def test_an_error_can_be_reworded() -> None:
    error = entry("missing", text="MISSING: {param}").occur(param="a")
    assert error.overridden(None) is error
    other = error.overridden(ErrorOverride(status=418, text="no {param}"))
    assert (other.entry.name, other.entry.status, other.text) == ("missing", 418, "no a")
    assert error.overridden(ErrorOverride(status=418)).text == "MISSING: a"


def test_is_natural_depends_on_its_flag_and_not_on_the_description() -> None:
    usual = entry("missing")
    never = replace(usual, is_natural=False)
    assert (usual.is_natural, never.is_natural) == (True, False)
    assert never.when == usual.when
    assert replace(usual, when=f"{ONLY_BY_FAULT}.").is_natural
    assert not never.occur().overridden(ErrorOverride(status=418)).entry.is_natural


def test_names_and_causes_are_unique() -> None:
    with pytest.raises(ValueError, match="two errors are named a"):
        ErrorCatalogue([entry("a"), entry("a")])
    with pytest.raises(ValueError, match="NoFaceFound is mapped twice"):
        ErrorCatalogue([entry("a", NoFaceFound), entry("b", NoFaceFound)])


def test_entries_keep_their_order_and_are_found_by_name() -> None:
    catalogue = ErrorCatalogue([entry("b"), entry("a")])
    assert [item.name for item in catalogue] == ["b", "a"]
    assert catalogue["a"].name == "a"


def test_an_entry_keeps_the_class_of_its_vendor() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Numbered(CatalogueEntry):
        number: int

    catalogue = ErrorCatalogue([Numbered("a", 400, "{x}", "Sometimes.", Mark.GUESS, "nowhere", number=7)])
    assert catalogue["a"].number == 7
    said = catalogue["a"].occur(x="y").overridden(ErrorOverride(status=418)).entry
    assert said == replace(catalogue["a"], status=418)
    assert said.codes == ()


def test_joined_catalogues_keep_their_order() -> None:
    shared, own = ErrorCatalogue([entry("b", NoFaceFound)]), ErrorCatalogue([entry("a", ImageError)])
    joined = shared | own
    assert [item.name for item in joined] == ["b", "a"]
    assert joined.for_cause(NoFaceFound()) is shared["b"]
    assert joined.for_cause(ImageError()) is own["a"]
    # Neither of the two has changed.
    assert ([item.name for item in shared], [item.name for item in own]) == (["b"], ["a"])
    with pytest.raises(LookupError):
        shared.for_cause(ImageError())


def test_catalogues_that_share_a_name_or_a_cause_cannot_be_joined() -> None:
    shared = ErrorCatalogue([entry("a", NoFaceFound)])
    with pytest.raises(ValueError, match="two errors are named a"):
        shared | ErrorCatalogue([entry("a")])
    with pytest.raises(ValueError, match="two errors are named a"):
        shared | shared
    with pytest.raises(ValueError, match="NoFaceFound is mapped twice"):
        shared | ErrorCatalogue([entry("b", NoFaceFound)])


def test_only_returns_just_the_named_errors_and_their_causes() -> None:
    whole = ErrorCatalogue([entry("a", NoFaceFound), entry("b"), entry("c", ImageError)])
    part = whole.only("c", "b")
    assert [item.name for item in part] == ["c", "b"]
    assert part["c"] is whole["c"]
    assert ("a" in whole, "a" in part) == (True, False)
    assert part.for_cause(ImageUndecodable("x")) is whole["c"]
    with pytest.raises(LookupError, match="NoFaceFound"):
        part.for_cause(NoFaceFound())
    assert list(whole.only()) == []
    with pytest.raises(KeyError):
        whole.only("d")


def test_two_operations_may_map_one_cause_to_different_errors() -> None:
    table = ErrorCatalogue([entry("shared")])
    create = table | ErrorCatalogue([entry("error_no_face", NoFaceFound)])
    check = table | ErrorCatalogue([entry("NO_FACE_FOUND", NoFaceFound)])
    assert create.for_cause(NoFaceFound()).name == "error_no_face"
    assert check.for_cause(NoFaceFound()).name == "NO_FACE_FOUND"


def test_a_wording_may_use_only_the_placeholders_of_the_text() -> None:
    template = entry("missing", text="MISSING: {param}")
    template.check(ErrorOverride(status=418))
    template.check(ErrorOverride(text="no {param}, {param}"))
    template.check(ErrorOverride(text="nothing"))
    with pytest.raises(ValueError, match="text for missing has unknown placeholders: a, b"):
        template.check(ErrorOverride(text="{b} {param} {a}"))
