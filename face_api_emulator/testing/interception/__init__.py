"""Interception of this process's connections, for ``redirect`` and ``seal``.

The patches are installed for the first redirect or seal, and removed after the last one. They replace
functions and methods that all clients use:

- ``_socket.getaddrinfo`` and ``gethostbyname`` resolve names. A redirected name gets an address of its own in
  127.77.0.0/16, where nothing listens. Clients such as anyio handle the address and the port separately, so
  the address alone identifies the name.
- ``connect`` of the Python class ``socket.socket`` replaces this address by the emulator's address.
- ``SSLContext.wrap_socket`` and ``wrap_bio`` start TLS, with the emulator's authority for redirected names.
- ``create_connection`` and ``getaddrinfo`` of the event loops, because uvloop does not use Python's sockets.
- aiohttp's lookups, because it caches addresses, and may use a resolver of its own.
- The proxies of httpcore, because httpx reads the proxy variables when a client is created, which can be
  before the redirect.

Libraries that are imported later are patched when they are imported.
"""
