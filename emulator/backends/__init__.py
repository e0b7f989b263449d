"""The storage for records and blobs, and the work queue. Each is a protocol with an adapter.

Only :mod:`emulator.app` imports adapters. All other modules use the protocols.
"""
