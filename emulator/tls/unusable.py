"""The error of an unusable certificate authority. This module does not load cryptography, which is slow."""

from __future__ import annotations

from pathlib import Path

from face_api_emulator.trust import CA


class AuthorityUnusable(Exception):
    """A file of the authority is missing, damaged, or does not belong to the others."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    def __str__(self) -> str:
        ca = self.file.with_name(CA)
        return (
            f"the certificate authority in {self.file.parent} cannot be used, because {self.file.name} "
            f"{self.reason}; delete {ca} to get a new authority at the next start, which clients must trust"
        )
