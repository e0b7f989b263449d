"""The database: small JSON documents, each under a key, and counters."""

from emulator.backends.records.protocol import (
    Change,
    Counter,
    CountTo,
    CountUp,
    Create,
    Document,
    Enqueue,
    Heard,
    Put,
    Record,
    Records,
    Remove,
    Replace,
    StoreUnreadable,
    Written,
)

__all__ = [
    "Change",
    "CountTo",
    "CountUp",
    "Counter",
    "Create",
    "Document",
    "Enqueue",
    "Heard",
    "Put",
    "Record",
    "Records",
    "Remove",
    "Replace",
    "StoreUnreadable",
    "Written",
]
