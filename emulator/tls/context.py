"""The TLS context of the server. It chooses the leaf by the name that the client asks for."""

from __future__ import annotations

import secrets
import ssl
import tempfile
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from emulator.tls.authority import LOCALHOST, LOOPBACK, Authority, Leaf
from face_api_emulator.trust import normalized

ADDRESSES = frozenset(str(network.network_address) for network in LOOPBACK)
"""Addresses that clients may send as a name. The standard forbids this, but PHP's streams do it."""


def server_context(
    authority: Authority, names: Collection[str], clock: Callable[[], float]
) -> ssl.SSLContext:
    """Return a context for the server side of HTTP/1.1 over TLS 1.2 and 1.3.

    The leaf of a name is created when a client first asks for the name, and is replaced after 80 % of its
    life. A client that connects to an address sends no name, or sends the address as the name. It gets the
    leaf of ``localhost``. For a name that is not served, the handshake ends with the alert
    ``unrecognized_name``. The transports of asyncio and uvloop close the connection without sending the
    alert.

    Parameters
    ----------
    authority : Authority
        Signs the leaves.
    names : collection of str
        Names to serve besides ``localhost``.
    clock : callable
        Returns the machine's time, in seconds since the Unix epoch.

    Raises
    ------
    ValueError
        If the authority does not permit one of the names.
    """
    served = frozenset({LOCALHOST, *(normalized(name) for name in names)})
    refused = sorted(name for name in served if not authority.permits(name))
    if refused:
        raise ValueError(f"the certificate authority does not permit {', '.join(refused)}")
    leaves = _Leaves(authority, clock)

    def choose(
        connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        asked = LOCALHOST if name is None or name in ADDRESSES else normalized(name)
        if asked not in served:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = leaves.context(asked)
        return None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _limit(context)
    context.sni_callback = choose
    return context


class LeafContext(ssl.SSLContext):
    """The context of one leaf, and the name that the client asked for."""

    name: str = ""


def leaf_context(authority: Authority, leaf: Leaf) -> LeafContext:
    """Return a context that always sends ``leaf``, followed by the intermediate."""
    context = LeafContext(ssl.PROTOCOL_TLS_SERVER)
    _limit(context)
    # ssl can only read keys from files. The file is encrypted with a password that is never stored, so it is
    # useless if a killed process leaves it behind.
    password = secrets.token_bytes(32)
    with tempfile.TemporaryDirectory(prefix="face-api-emulator-") as folder:
        file = Path(folder, "leaf.pem")
        file.write_bytes(
            leaf.certificate.public_bytes(Encoding.PEM)
            + authority.intermediate.public_bytes(Encoding.PEM)
            + leaf.key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.hex().encode())
            )
        )
        context.load_cert_chain(file, password=password.hex())
    return context


def _limit(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Without this, clients that offer HTTP/2 could expect the server to speak it.
    context.set_alpn_protocols(["http/1.1"])


class _Leaves:
    """The TLS contexts of the names, each with a leaf. Several threads can use this object."""

    def __init__(self, authority: Authority, clock: Callable[[], float]) -> None:
        self._authority = authority
        self._clock = clock
        self._made: dict[str, tuple[LeafContext, float]] = {}
        self._lock = threading.Lock()

    def context(self, name: str) -> LeafContext:
        """Return the context of ``name``, with a leaf that is not too old."""
        now = self._clock()
        with self._lock:
            context, renew_at = self._made.get(name, (None, 0.0))
            if context is None or now >= renew_at:
                leaf = self._authority.issue(name, now)
                context = leaf_context(self._authority, leaf)
                context.name = name
                self._made[name] = (context, leaf.renew_at)
            return context
