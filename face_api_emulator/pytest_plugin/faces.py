"""The test faces, fetched from the emulator when a test asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from face_api_emulator.client import Client


class TestFaces(Mapping[str, bytes]):
    """A mapping from the name of each test face to the content of its JPEG file."""

    __test__ = False

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._drawn: dict[str, bytes] = {}
        self._names: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> bytes:
        """Return the content of the file of a test face."""
        if name not in set(self):
            raise KeyError(f"there is no test face {name}; choose one of {', '.join(self)}")
        if name not in self._drawn:
            with Client(self._base_url) as client:
                self._drawn[name] = client.face(name)
        return self._drawn[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        if not self._names:
            with Client(self._base_url) as client:
                self._names = tuple(client.faces())
        return iter(self._names)

    def __len__(self) -> int:
        """Return the number of test faces."""
        return len(tuple(iter(self)))

    def write(self, name: str, folder: Path) -> Path:
        """Write the file of a test face to a folder, and return its path."""
        path = folder / f"{name}.jpg"
        path.write_bytes(self[name])
        return path
