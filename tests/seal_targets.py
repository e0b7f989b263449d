"""Targets that a seal blocks, and the attempts that it has recorded."""

from __future__ import annotations

from face_api_emulator.testing.seal import Seal, Sealed

OUTSIDE, ADDRESS, ADDRESS_6 = "outside.invalid", "192.0.2.1", "2001:db8::1"
"""Names and addresses that are reserved for documentation."""


def targets(seal: Seal) -> list[str]:
    return [attempt.target for attempt in seal.attempts]


def is_caused_by_the_seal(error: BaseException) -> bool:
    """Return whether one of the exceptions that led to ``error`` is ours."""
    seen: list[BaseException] = [error]
    for each in seen:
        if isinstance(each, Sealed):
            return True
        more = (each.__cause__, each.__context__, *each.args, getattr(each, "reason", None))
        if isinstance(each, BaseExceptionGroup):
            more = (*more, *each.exceptions)
        seen += [other for other in more if isinstance(other, BaseException) and other not in seen]
    return False
