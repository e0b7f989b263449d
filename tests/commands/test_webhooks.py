from __future__ import annotations

from collections.abc import Callable

from face_api_emulator.client import Client


def test_webhook_endpoints_are_added_listed_and_removed(
    tell: Callable[..., str], tell_mine: Callable[..., str], me: Client
) -> None:
    added = tell_mine("webhooks", "add", "http://127.0.0.1:9/hook")
    endpoint_id, _, secret = added.partition("  ")
    assert secret.startswith("whsec_")
    assert tell_mine("webhooks", "list") == f"{endpoint_id}  http://127.0.0.1:9/hook"
    assert tell_mine("webhooks", "deliveries") == ""
    tell("webhooks", "remove", endpoint_id)
    assert me.endpoints() == []
    tell_mine("webhooks", "add", "http://127.0.0.1:9/hook", "--vendor", "perfectcorp")
    assert [found.vendor for found in me.endpoints()] == ["perfectcorp"]
    said = tell("webhooks", "replay", "nothing", fails=True)
    assert "there is no delivery nothing" in said
