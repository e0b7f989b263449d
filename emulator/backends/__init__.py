"""Storage for records (JSON documents) and blobs (bytes), and the work queue.

Each of the three has a protocol, and an adapter that implements the protocol. Only :mod:`emulator.adapters`
imports the adapters. All other modules use the protocols.
"""
