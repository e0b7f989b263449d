"""TLS for the vendors' host names: certificate authority, server contexts, and trust files for clients."""
