"""TLS under the vendors' host names: the certificate authority, the server's contexts, the clients' trust."""
