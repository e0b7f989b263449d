"""Interception of this process's connections, for ``redirect`` and ``seal``.

The patches are installed for the first redirect or seal, and removed after the last one. They replace

- ``_socket.getaddrinfo`` and ``gethostbyname``, which resolve names. A redirected name gets an address of its
  own in 127.77.0.0/16, where nothing listens. Some clients, such as anyio, pass on the address without the
  name, so the address alone must identify the name,
- ``connect`` of the Python class ``socket.socket``, which then connects to the emulator,
- ``SSLContext.wrap_socket`` and ``wrap_bio``, which start TLS,
- ``create_connection`` and ``getaddrinfo`` of the event loops, because uvloop does not use Python's sockets,
- aiohttp's lookups, because aiohttp caches addresses, and may use its own resolver,
- the proxies of httpcore, because httpx reads the proxy variables when a client is created, which can be
  before the redirect.

Libraries that are imported later are patched when they are imported.
"""
