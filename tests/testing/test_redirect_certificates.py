from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
from redirect_clients import ASYNCHRONOUS, LOOPS, SYNCHRONOUS, run_on
from redirect_peers import NAME, NAMES, Peer, peer

from emulator.clock import machine_time
from emulator.tls.authority import open_authority
from emulator.tls.context import leaf_context
from face_api_emulator.testing.redirect import redirected

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.mark.parametrize("library", SYNCHRONOUS)
def test_certificates_are_verified(library: str, vendor: Peer, emulator: Peer) -> None:
    with (
        SYNCHRONOUS[library](emulator.context()) as get,
        redirected(NAMES, plain=emulator.plain, tls=emulator.tls, ca=vendor.ca),
        pytest.raises(Exception, match=r"(?i)certificate"),
    ):
        get(f"https://{NAME}/")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("library", ASYNCHRONOUS)
def test_certificates_are_verified_by_asynchronous_clients(
    library: str, loop: str, vendor: Peer, emulator: Peer
) -> None:
    async def main() -> None:
        async with ASYNCHRONOUS[library](emulator.context()) as get:
            await get(f"https://{NAME}/")

    with (
        redirected(NAMES, plain=emulator.plain, tls=emulator.tls, ca=vendor.ca),
        pytest.raises(Exception, match=r"(?i)certificate"),
    ):
        run_on(loop, main)


def test_names_in_certificates_are_verified(tmp_path: Path) -> None:
    authority = open_authority(tmp_path, frozenset(NAMES), machine_time())
    context = leaf_context(authority, authority.issue(NAMES[1], machine_time()))
    with peer("wrong", tmp_path, context) as wrong, wrong.redirected():
        with pytest.raises(httpx.ConnectError, match="Hostname mismatch"):
            httpx.get(f"https://{NAME}/")
        assert httpx.get(f"https://{NAMES[1]}/").text == "wrong"


def test_a_client_that_verifies_nothing_still_verifies_nothing(vendor: Peer, emulator: Peer) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        httpx.Client(verify=context) as client,
        redirected(NAMES, plain=emulator.plain, tls=emulator.tls, ca=vendor.ca),
    ):
        assert client.get(f"https://{NAME}/").text == "emulator"


def test_the_context_of_the_client_does_not_change(vendor: Peer, emulator: Peer) -> None:
    context = vendor.context()
    before = context.get_ca_certs(), context.options, context.verify_flags, context.verify_mode
    with httpx.Client(verify=context) as client, emulator.redirected():
        assert client.get(f"https://{NAME}/").text == "emulator"
    assert (context.get_ca_certs(), context.options, context.verify_flags, context.verify_mode) == before


def test_a_strict_context_is_accepted(emulator: Peer) -> None:
    """Python 3.13 sets these flags by default. The vendors' revocation lists do not apply."""
    context = ssl.create_default_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with emulator.redirected():
        assert httpx.get(f"https://{NAME}/", verify=context).text == "emulator"


def test_the_authority_is_only_trusted_for_the_names(emulator: Peer) -> None:
    with emulator.redirected(), pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        httpx.get(f"https://localhost:{emulator.tls[1]}/")
