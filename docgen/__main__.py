"""The command ``python -m docgen``, which writes the generated parts of the documentation."""

from __future__ import annotations

import sys

from docgen.pages import ROOT, filled, pages


def main() -> None:
    """Write every page whose generated parts are out of date, and print its name."""
    for page in pages():
        text = page.read_text()
        new = filled(text)
        if new != text:
            page.write_text(new)
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
