"""The console, a web page at ``/_emulator/console/`` that shows and controls the emulator.

Its sources are in the folder ``console`` of the repository. Its built files are in ``BUILT``, which is not
part of the repository.
"""

from __future__ import annotations

from pathlib import Path

BUILT = Path(__file__).parent / "built"

INDEX = "index.html"

TOKEN_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>The console needs a token</title>
<h1>The console needs a token</h1>
<p>The emulator prints a link with the token at its start. In a container, the link is in the log.</p>
<form><label>Token <input name="token" autocomplete="off" autofocus required></label> <button>Open</button></form>
</html>
"""
"""Page for a browser that has no token."""


def is_built() -> bool:
    """Return whether this installation contains the console."""
    return (BUILT / INDEX).is_file()
