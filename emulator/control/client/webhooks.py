"""Webhooks: endpoints, deliveries, and the plan of when they come."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from emulator.control.client.caller import Caller
from emulator.control.webhooks import DeliveryDescription, EndpointDescription, PlanDescription
from emulator.webhooks.delivery import Timestamps


class Webhooks(Caller):
    """The webhooks of a credential, or of all."""

    def add_endpoint(
        self,
        url: str,
        secret: str | None = None,
        timestamps: Timestamps = "machine",
        vendor: str | None = None,
    ) -> EndpointDescription:
        """Return an endpoint that was added, with its secret.

        Its webhooks have ``timestamps`` of the machine's time; ``"clock"`` is for a receiver whose time is
        moved with the emulator's clock. Without ``vendor`` it receives the webhooks of every vendor.
        """
        body = {"url": url, "secret": secret, "vendor": vendor, "timestamps": timestamps}
        return self._read(EndpointDescription, "POST", "/webhooks/endpoints", body=body, scoped=True)

    def endpoints(self) -> list[EndpointDescription]:
        """Return the endpoints, their secrets masked."""
        return self._read(list[EndpointDescription], "GET", "/webhooks/endpoints", scoped=True)

    def remove_endpoint(self, endpoint_id: str) -> None:
        """Remove an endpoint."""
        self._call("DELETE", f"/webhooks/endpoints/{quote(endpoint_id)}")

    def deliveries(self, **match: str) -> list[DeliveryDescription]:
        """Return what was delivered; ``match`` names a ``task``, ``endpoint`` or ``state``."""
        params = {**self._mine(), **match}
        return self._read(list[DeliveryDescription], "GET", "/webhooks/deliveries", params=params)

    def replay(self, delivery_id: str) -> DeliveryDescription:
        """Return a delivery that was sent once more."""
        return self._read(DeliveryDescription, "POST", f"/webhooks/deliveries/{quote(delivery_id)}/replay")

    def plan(self, polls: int, webhooks: Sequence[str]) -> None:
        """Prescribe how many polls are told that a task runs, and when its webhooks come."""
        self._call("PUT", "/webhooks/plan", body={"polls": polls, "webhooks": list(webhooks)}, scoped=True)

    def planned(self) -> PlanDescription:
        """Return what is prescribed, and what has happened since."""
        return self._read(PlanDescription, "GET", "/webhooks/plan", scoped=True)

    def forget_plan(self) -> None:
        """Forget what is prescribed."""
        self._call("DELETE", "/webhooks/plan", scoped=True)
