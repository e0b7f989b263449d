"""Helpers for tests of the user's own code: they redirect connections to an emulator, and block all others.

The package uses only the standard library, and supports Python 3.11 to 3.14.
"""
