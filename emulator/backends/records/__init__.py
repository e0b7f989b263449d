"""Small documents that are looked up by key."""

from emulator.backends.records.protocol import Counter, Document, Record, Records, StoreUnreadable

__all__ = ["Counter", "Document", "Record", "Records", "StoreUnreadable"]
