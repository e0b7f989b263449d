from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from pydantic import BaseModel

from emulator.world.error_catalogue import CatalogueEntry, ErrorCatalogue
from emulator.world.operation import Billing, Example, Operation, callable_names


class Given(BaseModel):
    reshape_units: int = 3


def operation(name: str, *paths: str, methods: tuple[str, ...] = ("POST",)) -> Operation:
    return Operation(
        name=name,
        methods=methods,
        paths=paths or (f"/{name}",),
        endpoint=lambda: None,
        errors=ErrorCatalogue(),
        example=Example(),
    )


@dataclass(frozen=True)
class Acme:
    """The part of a vendor that ``callable_names`` needs."""

    has_webhooks: bool
    name: str = "acme"
    operations: Mapping[str, Operation] = field(
        default_factory=lambda: {name: operation(name) for name in ("create", "check")}
    )
    errors: Mapping[str, CatalogueEntry] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("billing", "settings", "units"),
    [
        (Billing(), Given(), 0),
        (Billing(units_setting="reshape_units"), Given(), 3),
        (Billing(units_setting="reshape_units"), Given(reshape_units=0), 0),
    ],
)
def test_the_units_of_a_call_come_from_the_setting(billing: Billing, settings: Given, units: int) -> None:
    assert billing.units(settings) == units


def test_a_billing_with_an_unknown_setting_raises_an_error() -> None:
    with pytest.raises(AttributeError):
        Billing(units_setting="nothing").units(Given())


def test_callable_names_are_the_operations_and_webhook_if_the_vendor_has_webhooks() -> None:
    assert list(callable_names(Acme(has_webhooks=False))) == ["create", "check"]
    assert list(callable_names(Acme(has_webhooks=True))) == ["create", "check", "webhook"]


def test_the_documented_method_and_path_are_the_first_ones() -> None:
    both = operation("static", "/static/{name}", "/old/{name}", methods=("GET", "HEAD"))
    assert (both.method, both.path) == ("GET", "/static/{name}")


def test_the_summary_is_the_first_line_of_the_routes_docstring() -> None:
    def store() -> None:
        """Store a photo.

        It is kept for a day.
        """

    stored = replace(operation("store"), endpoint=store)
    assert (stored.summary, operation("silent").summary) == ("Store a photo", "")
