from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from emulator.webhooks.endpoints import EVERY_VENDOR, ConfiguredEndpoint, EndpointRefused

if TYPE_CHECKING:
    from webhooks.conftest import Use, World


def test_configured_endpoints_follow_the_settings(use: Use) -> None:
    async def both(world: World) -> None:
        assert [endpoint.url for endpoint in world.outbox.endpoints.list()] == ["http://a/", "http://b/"]

    async def one(world: World) -> None:
        assert [endpoint.url for endpoint in world.outbox.endpoints.list()] == ["http://b/"]

    use(both, configured=("http://a/", "http://b/"))
    use(one, configured=("http://b/",))


@pytest.mark.parametrize(
    ("url", "secret", "reason"),
    [
        ("ftp://a/", None, "not an http or https URL"),
        ("http://", None, "not an http or https URL"),
        ("http://[", None, "not an http or https URL"),
        ("http://a:99999/", None, "not an http or https URL"),
        ("http://a/", "bad", "it is bad"),
    ],
)
def test_an_invalid_endpoint_is_refused(use: Use, url: str, secret: str | None, reason: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(EndpointRefused, match=reason):
            await world.outbox.endpoints.add("v", url, "me", secret)

    use(scenario)


def test_the_number_of_endpoints_of_a_credential_is_limited(use: Use) -> None:
    async def scenario(world: World) -> None:
        for number in range(3):
            await world.outbox.endpoints.add("v", f"http://a/{number}", "me")
        with pytest.raises(EndpointRefused, match="already has 3 endpoints"):
            await world.outbox.endpoints.add("v", "http://a/3", "me")
        await world.outbox.endpoints.add("v", "http://a/3", "you")
        with pytest.raises(EndpointRefused, match="w has no webhooks; vendors with webhooks: v"):
            await world.outbox.endpoints.add("w", "http://a/")

    use(scenario)


def test_the_limit_on_endpoints_holds_for_concurrent_additions(use: Use) -> None:
    async def scenario(world: World) -> None:
        adding = (world.outbox.endpoints.add("v", f"http://a/{number}", "me") for number in range(20))
        added = await asyncio.gather(*adding, return_exceptions=True)
        refused = [str(each) for each in added if isinstance(each, EndpointRefused)]
        assert len(refused) == 17
        assert all("already has 3 endpoints" in reason for reason in refused)
        assert set(world.outbox.endpoints.list("me")) == set(added) - {
            each for each in added if isinstance(each, EndpointRefused)
        }

    use(scenario)


def test_an_endpoint_without_a_vendor_gets_webhooks_of_all_vendors_each_signed_by_its_vendor(
    use: Use,
) -> None:
    async def scenario(world: World) -> None:
        both = await world.outbox.endpoints.add(None, "http://both/", "me")
        await world.outbox.endpoints.add("w", "http://w/", "me")
        assert both.vendor == EVERY_VENDOR
        assert await world.outbox.endpoints.add(None, "http://yours/", "you") in world.outbox.endpoints.list(
            "you"
        )
        await world.tell("t", vendor="v")
        await world.tell("u", vendor="w")
        sent = await world.sender.wait(3)
        assert sorted((one.url, one.body, one.headers["by"]) for one in sent) == [
            ("http://both/", b"t", "v"),
            ("http://both/", b"u", "w"),
            ("http://w/", b"u", "w"),
        ]
        assert {one.headers["secret"] for one in sent if one.url == "http://both/"} == {both.secret}
        assert {delivery.vendor for delivery in await world.outbox.deliveries()} == {"v", "w"}

    use(scenario, vendors=("v", "w"))


def test_an_endpoint_of_every_vendor_gets_all_webhooks_after_a_restart(use: Use) -> None:
    async def before(world: World) -> None:
        await world.outbox.endpoints.add(None, "http://both/")
        await world.prepare("t")
        await world.prepare("u", vendor="w")

    async def after(world: World) -> None:
        assert world.announced_again == ["t", "u"]
        sent = await world.sender.wait(2)
        assert sorted((one.body, one.headers["by"]) for one in sent) == [(b"t", "v"), (b"u", "w")]

    use(before, vendors=("v", "w"))
    use(after, vendors=("v", "w"))


def test_a_410_disables_an_endpoint_for_every_vendor(use: Use) -> None:
    async def scenario(world: World) -> None:
        await world.outbox.endpoints.add(None, "http://both/")
        await world.tell("t", vendor="v")

        async def is_disabled() -> bool:
            return world.outbox.endpoints.list()[0].disabled is not None

        await world.eventually(is_disabled)
        for vendor in ("v", "w"):
            assert world.outbox.endpoints.listening(vendor, "me") == []

    use(scenario, status=410, vendors=("v", "w"))


def test_an_omitted_vendor_is_the_only_one_with_webhooks(use: Use) -> None:
    async def scenario(world: World) -> None:
        assert (await world.outbox.endpoints.add(None, "http://a/")).vendor == "v"

    async def nobody(world: World) -> None:
        with pytest.raises(EndpointRefused, match="http://a/: no vendor has webhooks"):
            await world.outbox.endpoints.add(None, "http://a/")

    use(scenario)
    use(nobody, vendors=())


def test_an_endpoint_of_every_vendor_counts_towards_each_limit(use: Use) -> None:
    async def scenario(world: World) -> None:
        endpoints = world.outbox.endpoints
        for number in range(2):
            await endpoints.add(None, f"http://both/{number}", "me")
        # w allows two endpoints, and v allows three.
        for vendor in ("w", None):
            with pytest.raises(EndpointRefused, match="already has 2 endpoints"):
                await endpoints.add(vendor, "http://a/", "me")
        await endpoints.add("v", "http://a/", "me")
        with pytest.raises(EndpointRefused, match="already has 3 endpoints"):
            await endpoints.add("v", "http://b/", "me")
        # Endpoints of the default and of other credentials are counted separately.
        await endpoints.add(None, "http://all/")
        await endpoints.add(None, "http://yours/", "you")
        await endpoints.remove(endpoints.list("me")[0].id)
        await endpoints.add("w", "http://b/", "me")

    use(scenario, vendors=("v", "w"))


@pytest.mark.parametrize("secret", ["not v's", "not w's"])
def test_a_secret_for_every_vendor_must_be_valid_for_each(use: Use, secret: str) -> None:
    async def scenario(world: World) -> None:
        refuses, accepts = ("v", "w") if secret == "not v's" else ("w", "v")  # noqa: S105 - a word of the test
        for vendor in (None, refuses):
            with pytest.raises(EndpointRefused, match=f"it is bad for {refuses}"):
                await world.outbox.endpoints.add(vendor, "http://a/", "me", secret)
        assert world.outbox.endpoints.list() == []
        assert (await world.outbox.endpoints.add(accepts, "http://a/", "me", secret)).secret == secret
        assert (await world.outbox.endpoints.add(None, "http://a/", "me", "good")).secret == "good"  # noqa: S105

    use(scenario, vendors=("v", "w"))


@pytest.mark.parametrize("configured", [("ftp://a/", "configured"), ("http://a/", "bad")])
def test_an_invalid_configured_endpoint_is_refused(use: Use, configured: tuple[str, str]) -> None:
    async def scenario(world: World) -> None:
        endpoints = world.outbox.endpoints
        source = replace(endpoints.sources["v"], configured=(ConfiguredEndpoint(*configured),))
        with pytest.raises(EndpointRefused):
            endpoints.register("w", source)
        assert set(endpoints.sources) == {"v"}

    use(scenario)


def test_an_invalid_recorded_endpoint_is_refused(use: Use) -> None:
    async def scenario(world: World) -> None:
        check = world.outbox.checks["webhook/endpoint"]
        right = {"id": "e", "credential": "", "vendor": "v", "url": "http://h/", "secret": "s"}
        check(right)
        check({**right, "vendor": EVERY_VENDOR})
        for wrong in ({"url": 4}, {"timestamps": "nobody's"}, {"is_configured": "perhaps"}, {"secret": None}):
            with pytest.raises(ValueError, match="validation error"):
                check({**right, **wrong})
        with pytest.raises(ValueError, match="validation error"):
            check({})

    use(scenario)
