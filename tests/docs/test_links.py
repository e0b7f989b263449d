"""No link of the documentation is broken, in the files and on the site."""

from __future__ import annotations

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from documents import PAGES, ROOT, anchors_of, links_of

EXTERNAL = ("https://", "http://", "mailto:")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_files_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        if link.startswith(EXTERNAL):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


class _Page(HTMLParser):
    """Collects what a page links to, what it loads, and the ids that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in {"img", "script"} and "src" in found:
            self.loads.add(found["src"])
        if tag == "link" and found.get("rel") in {"stylesheet", "icon"}:
            self.loads.add(found["href"])


def test_the_site_has_no_broken_link_and_loads_nothing_from_another_host(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    done = subprocess.run(  # noqa: S603 - our own command
        [Path(sys.executable).parent / "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    pages: dict[Path, _Page] = {}
    for file in sorted(site.rglob("*.html")):
        pages[file] = _Page()
        pages[file].feed(file.read_text())
    assert len(pages) > len([page for page in PAGES if page.is_relative_to(ROOT / "docs")])
    broken = []
    for file, page in pages.items():
        if file.name == "404.html":
            continue  # its links are absolute, since it is shown at any path
        broken += [load for load in page.loads if not (file.parent / load.partition("?")[0]).exists()]
        for link in page.links:
            if link.startswith(EXTERNAL):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = (file.parent / path).resolve() if path else file
            target = target / "index.html" if target.is_dir() else target
            if (target not in pages and not target.exists()) or (
                anchor and target in pages and anchor not in pages[target].ids
            ):
                broken.append(f"{file.name}: {link}")
    assert broken == []
