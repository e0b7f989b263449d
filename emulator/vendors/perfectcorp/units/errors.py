"""The errors of operations that cost units."""

from __future__ import annotations

from emulator.vendors.perfectcorp.errors import api
from emulator.world.credentials import CredentialOutOfBalance
from emulator.world.error_catalogue import ErrorCatalogue, Mark


class UnitsInsufficient(Exception):
    """The key has fewer units than the task costs."""


SPENDING = ErrorCatalogue(
    [
        api(
            "CreditInsufficiency", 400, "CreditInsufficiency",
            "Your account doesn't have enough credits to complete this request.",
            "The key has fewer units than the task costs, or it has the state `no_balance`.", Mark.OBSERVED, "a logged response",
            causes=(CredentialOutOfBalance, UnitsInsufficient),
        ),
    ]
)  # fmt: skip
"""Errors that only operations that cost units can return."""
