"""The database: small JSON documents, each under a key, and counters."""

from emulator.backends.records.protocol import Counter, Document, Record, Records, StoreUnreadable

__all__ = ["Counter", "Document", "Record", "Records", "StoreUnreadable"]
