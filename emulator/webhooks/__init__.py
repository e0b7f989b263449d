"""Delivery of webhooks: bytes that a vendor prepared and signed, until an endpoint takes them."""
