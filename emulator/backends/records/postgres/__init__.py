"""A database for documents and counters in PostgreSQL, which several processes can use."""

from emulator.backends.records.postgres.records import PostgresRecords
from emulator.backends.records.postgres.replicas import living_replicas

__all__ = ["PostgresRecords", "living_replicas"]
