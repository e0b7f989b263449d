"""What the emulator stands on: records, blobs and a work queue, each a Protocol and its adapters.

Only :mod:`emulator.app` imports an adapter; everything else sees the Protocols.
"""
