"""ASGI scope extensions of the server's forward proxy and of TLS."""

PROXY = "face_emulator.proxy"
"""Extension of a request to the proxy: the ``authority`` that the client wants to reach, and the ``reason``
why no tunnel to it was opened, or None."""

TLS_NAME = "face_emulator.tls_name"
"""Extension with the ``name`` that the client asked for in its TLS handshake."""

PROXY_VENDOR = "proxy"
"""The journal's ``vendor`` of a request that the proxy has refused."""
