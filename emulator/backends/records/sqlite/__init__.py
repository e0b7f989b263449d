"""A database for documents and counters in one SQLite file."""

from emulator.backends.records.sqlite.records import SqliteRecords

__all__ = ["SqliteRecords"]
