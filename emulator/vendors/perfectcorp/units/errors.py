"""The errors of operations that cost units."""

from __future__ import annotations

from emulator.vendors.perfectcorp.errors import api
from emulator.world.credentials import CredentialOutOfBalance
from emulator.world.error_catalogue import ErrorCatalogue, Mark


class UnitsInsufficient(Exception):
    """The key's units do not cover the cost of a task."""


SPENDING = ErrorCatalogue(
    [
        api(
            "CreditInsufficiency", 400, "CreditInsufficiency",
            "Your account doesn't have enough credits to complete this request.",
            "The key has fewer units than the task costs.", Mark.OBSERVED, "a logged response",
            causes=(CredentialOutOfBalance, UnitsInsufficient),
        ),
    ]
)  # fmt: skip
"""Errors of operations that cost units."""
