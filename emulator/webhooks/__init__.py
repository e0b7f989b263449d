"""Delivery of webhooks, independent of the vendors."""
