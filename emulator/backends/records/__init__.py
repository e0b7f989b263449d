"""Small documents that are looked up by key."""

from emulator.backends.records.protocol import Record, Records

__all__ = ["Record", "Records"]
