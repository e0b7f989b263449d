"""Storage for records (JSON documents) and blobs (bytes), and the work queue.

Each is a protocol with one implementation, its adapter. Only :mod:`emulator.app` imports the adapters. All
other modules use the protocols.
"""
