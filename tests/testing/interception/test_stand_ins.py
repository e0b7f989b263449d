from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass

import pytest

from face_api_emulator.testing.interception import stand_ins
from face_api_emulator.testing.interception.stand_ins import name_of, stand_in

NAMES = [f"{number}.example" for number in range(600)]
"""More names than the last byte of an address has values."""


@dataclass(frozen=True)
class Route:
    """A route to an emulator at one host."""

    host: str

    def address(self, port: int) -> tuple[str, int]:
        return self.host, port

    def context(self, given: ssl.SSLContext) -> ssl.SSLContext:
        return given

    def add(self, _: object) -> None:
        pass

    def add_transport(self, _: object, __: object) -> None:
        pass

    def has(self, _: object) -> bool:
        return False


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins, "_names", [])


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("127.0.0.1", socket.AF_UNSPEC),
        ("127.0.0.1", socket.AF_INET),
        ("127.0.0.1", socket.AF_INET6),
        ("::1", socket.AF_UNSPEC),
        ("::1", socket.AF_INET6),
    ],
)
def test_each_name_has_an_address_of_its_own_that_stays_the_same(host: str, family: int) -> None:
    addresses = [stand_in(name, Route(host), family) for name in NAMES]
    assert len(set(addresses)) == len(NAMES)
    assert [name_of(address) for address in addresses] == NAMES
    assert [stand_in(name, Route(host), family) for name in NAMES] == addresses
    six = host == "::1" or family == socket.AF_INET6
    assert {ipaddress.ip_address(address).version for address in addresses} == {6 if six else 4}


def test_an_emulator_with_ipv6_has_no_ipv4_addresses() -> None:
    with pytest.raises(socket.gaierror, match="only an IPv6 address"):
        stand_in(NAMES[0], Route("::1"), socket.AF_INET)


def test_other_addresses_stand_for_no_name() -> None:
    first = stand_in(NAMES[0], Route("127.0.0.1"), socket.AF_INET)
    assert name_of(first) == NAMES[0]
    neighbours = (str(ipaddress.ip_address(first) + step) for step in (-1, 1))
    for other in (*neighbours, "192.0.2.1", "100::", "100::2", "::1", "fe80::1%1", "a.example", ""):
        assert name_of(other) is None, other
