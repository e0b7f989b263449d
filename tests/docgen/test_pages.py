"""The generated parts of the documentation are up to date, and each is in a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import ROOT

from docgen.pages import PARTS, filled, pages, parts_of
from docgen.vendors import shipped_vendor, shipped_vendors

PER_VENDOR = ("operations", "errors", "vendor-settings")


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: page.stem)
def test_a_page_is_up_to_date(page: Path) -> None:
    assert filled(page.read_text()) == page.read_text(), "run `make docs`"


def test_every_part_is_in_a_page() -> None:
    used = [name for page in pages() for name in parts_of(page.read_text())]
    assert {name.partition(" ")[0] for name in used} == set(PARTS)
    for vendor in shipped_vendors():
        for part in PER_VENDOR:
            assert f"{part} {vendor.name}" in parts_of((ROOT / "docs" / f"{vendor.name}.md").read_text())


def test_text_around_a_part_is_kept() -> None:
    text = "before\n\n<!-- BEGIN scenarios -->\nold\n<!-- END scenarios -->\n\nafter\n"
    new = filled(text)
    assert new.startswith("before\n\n<!-- BEGIN scenarios -->\n\n| scenario |")
    assert new.endswith("|\n\n<!-- END scenarios -->\n\nafter\n")
    assert filled(new) == new


def test_an_unknown_part_or_vendor_is_refused() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        filled("<!-- BEGIN nonsense -->\n<!-- END nonsense -->")
    with pytest.raises(LookupError, match="no vendor acme; there are faceplusplus, metahuman, perfectcorp"):
        shipped_vendor("acme")
