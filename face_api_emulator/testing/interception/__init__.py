"""Interception of this process's connections, for ``redirect`` and ``seal``.

The patches are installed for the first redirect or seal, and removed after the last one. They are in the
places that all clients use:

- ``_socket.getaddrinfo`` and ``gethostbyname`` resolve names. A redirected name gets an address of its own in
  127.77.0.0/16, where nothing listens. A client can keep the address and the port apart, as anyio does.
- ``connect`` of the Python class ``socket.socket`` replaces that address by the emulator's.
- ``SSLContext.wrap_socket`` and ``wrap_bio`` start TLS.
- ``create_connection`` and ``getaddrinfo`` of the event loops, because uvloop does not use Python's sockets.
- aiohttp's lookups, because it caches addresses, and may use a resolver of its own.
- The proxies of httpcore, because httpx reads the environment when a client is made.

Libraries that are imported later are patched when they are imported.
"""
