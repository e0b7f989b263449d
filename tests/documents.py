"""Helpers that read the documentation for tests: pages, code blocks, links and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")))
"""Every Markdown page for users, the ledgers included."""

_GENERATED = re.compile(r"<!-- BEGIN (?P<name>[\w -]+) -->.*?<!-- END (?P=name) -->", re.DOTALL)
_FILE = re.compile(r"^`(?P<file>[\w./-]+)`:$")


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes
    ----------
    language : str
        Text after the opening fence.
    source : str
        The code.
    file : str or None
        Name of the file with this content, from the line above the block, such as ```test_avatar.py`:``.
    """

    language: str
    source: str
    file: str | None

    @property
    def is_make(self) -> bool:
        """Whether the block runs targets of the Makefile."""
        return self.source.startswith("make ")


@cache
def tokens_of(page: Path, *, generated: bool = True) -> tuple[Token, ...]:
    """Return the Markdown tokens of a page, with or without its generated parts."""
    text = page.read_text()
    if not generated:
        text = _GENERATED.sub("", text)
    return tuple(MarkdownIt("commonmark").enable("table").parse(text))


def blocks_of(page: Path, *, generated: bool = False) -> list[Block]:
    """Return the code blocks of a page, with or without those in its generated parts."""
    found, before = [], ""
    for token in tokens_of(page, generated=generated):
        if token.type == "fence":
            named = _FILE.match(before)
            found.append(Block(token.info, token.content, None if named is None else named["file"]))
        if token.type in {"inline", "fence"}:
            before = token.content if token.type == "inline" else ""
    return found


def links_of(page: Path) -> Iterator[str]:
    """Yield the targets of all links and pictures of a page."""
    for token in tokens_of(page):
        yield from re.findall(r'src="([^"]+)"', token.content) if token.type == "html_block" else ()
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield str(target)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, in GitHub's form."""
    tokens = tokens_of(page)
    titles = [
        "".join(child.content for child in inline.children or ())
        for heading, inline in pairwise(tokens)
        if heading.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
