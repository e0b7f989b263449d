"""Storage and work: records, blobs and a queue, each as a protocol with adapters.

Only :mod:`emulator.app` imports adapters. All other modules use the protocols.
"""
