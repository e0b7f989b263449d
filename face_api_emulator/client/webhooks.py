"""Methods of the client for webhooks: endpoints, deliveries and plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from face_api_emulator.client.connection import Connection, segment
from face_api_emulator.client.models import (
    DeliveryDescription,
    EndpointDescription,
    PlanDescription,
    Timestamps,
)


class Webhooks(Connection):
    """Methods of ``Client`` for webhooks, of a credential or of all credentials."""

    def add_endpoint(
        self,
        url: str,
        secret: str | None = None,
        timestamps: Timestamps | Literal["machine", "clock"] = "machine",
        vendor: str | None = None,
    ) -> EndpointDescription:
        """Add an endpoint that receives webhooks, and return it with its secret.

        Without ``secret``, a secret is generated. Without ``vendor``, all vendors send webhooks to the
        endpoint. Set ``timestamps`` to ``"clock"`` if the receiver uses the time of the emulator's clock.
        """
        body = {"url": url, "secret": secret, "vendor": vendor, "timestamps": timestamps}
        return self._read(EndpointDescription, "POST", "/webhooks/endpoints", body=body, scoped=True)

    def endpoints(self) -> list[EndpointDescription]:
        """Return the endpoints, with masked secrets."""
        return self._read(list[EndpointDescription], "GET", "/webhooks/endpoints", scoped=True)

    def remove_endpoint(self, endpoint_id: str) -> None:
        """Remove an endpoint."""
        self._call("DELETE", f"/webhooks/endpoints/{segment(endpoint_id)}")

    def deliveries(self, **match: str) -> list[DeliveryDescription]:
        """Return the deliveries, oldest first, filtered by the keywords ``task``, ``endpoint``, ``state``."""
        params = {**self._mine(), **match}
        return self._read(list[DeliveryDescription], "GET", "/webhooks/deliveries", params=params)

    def replay(self, delivery_id: str) -> DeliveryDescription:
        """Send a delivery again, immediately and without a fault. Return the delivery after this attempt."""
        return self._read(DeliveryDescription, "POST", f"/webhooks/deliveries/{segment(delivery_id)}/replay")

    def plan(self, polls: int, webhooks: Sequence[str]) -> None:
        """Set a plan, which fixes the order of polls and webhooks for the credential's new tasks.

        ``polls`` is the number of polls that return a running task. ``webhooks`` has one value of ``When``
        for each webhook to send.
        """
        self._call("PUT", "/webhooks/plan", body={"polls": polls, "webhooks": list(webhooks)}, scoped=True)

    def planned(self) -> PlanDescription:
        """Return the plan, and the recorded events of the tasks: creations, polls and webhooks."""
        return self._read(PlanDescription, "GET", "/webhooks/plan", scoped=True)

    def forget_plan(self) -> None:
        """Remove the plan."""
        self._call("DELETE", "/webhooks/plan", scoped=True)
