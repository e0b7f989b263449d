"""``Hiding``, which replaces the secrets in a snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from emulator.backends.blobs import BlobKey
from emulator.backends.records import Counter, Document
from emulator.world.faults.engine import is_reserved
from emulator.world.redaction import SHORTEST
from emulator.world.world import World

NAMED: Final = frozenset({"credential", "exact_credential"})
"""Members of documents whose value is a credential."""

COUNTED: Final = "seen"
"""Member of fault rules with an object from credential to number."""


class Hiding:
    """Replaces credentials with ``credential-1``, ``credential-2`` ..., and webhook secrets with other ones.

    The same credential gets the same name everywhere, so the snapshot can be restored. Credentials that
    request a fault are not secret. A short credential is replaced only in places that always contain a
    credential, because other text could contain it by chance.

    Parameters
    ----------
    world : World
        The state. Its parts remove other secrets from their own documents.
    entries, blobs : iterables
        All records and all keys of blobs.
    """

    def __init__(self, world: World, entries: Iterable[Document | Counter], blobs: Iterable[BlobKey]) -> None:
        self._world = world
        self._names: dict[str, str] = {}
        self._kinds = {kind: each for each in world.stateful for kind in each.checks}
        secret_keys = {kind for each in world.stateful for kind in each.secret_keys}
        for entry in entries:
            self._name(entry.credential)
            if isinstance(entry, Document) and entry.kind in secret_keys:
                self._name(entry.key)
        for blob in blobs:
            self._name(blob.credential)
        long = sorted((each for each in self._names if len(each) >= SHORTEST), key=len, reverse=True)
        listed = "|".join(map(re.escape, long))
        self._pattern = re.compile(rf"(?<![A-Za-z0-9_-])(?:{listed})(?![A-Za-z0-9_-])") if listed else None

    def entry(self, entry: Document | Counter) -> Document | Counter:
        """Return a record without its secrets."""
        credential = self._names.get(entry.credential, entry.credential)
        if isinstance(entry, Counter):
            return replace(entry, credential=credential)
        document = self._kinds[entry.kind].without_secrets(entry.kind, entry.document)
        return Document(entry.kind, self._key(entry.key), credential, self._hidden(document))

    def blob(self, blob: BlobKey) -> BlobKey:
        """Return the key of a blob without its secrets."""
        return BlobKey(self._key(blob.key), self._names.get(blob.credential, blob.credential))

    def _name(self, credential: str) -> None:
        if credential and not is_reserved(credential) and credential not in self._names:
            self._names[credential] = f"credential-{len(self._names) + 1}"

    def _key(self, key: str) -> str:
        """Return a key without secrets.

        A short credential is replaced only if it is a whole line of the key, or if ``/first`` follows it.
        """
        if key in self._names:
            return self._names[key]
        lines = "\n".join(self._names.get(line, line) for line in key.split("\n"))
        first, slash, rest = lines.partition("/")
        if slash and rest == "first":
            lines = f"{self._names.get(first, first)}/{rest}"
        return self._text(lines)

    def _text(self, text: str) -> str:
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._names[found[0]], text)

    def _hidden(self, value: Any, name: str = "") -> Any:
        if isinstance(value, str):
            return self._names.get(value, value) if name in NAMED else self._text(value)
        if isinstance(value, Mapping):
            if name == COUNTED:
                return {self._names.get(key, key): member for key, member in value.items()}
            return {self._text(key): self._hidden(member, key) for key, member in value.items()}
        return [self._hidden(each) for each in value] if isinstance(value, list) else value
