"""Asynchronous tasks, independent of the vendors."""
