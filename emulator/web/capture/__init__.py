"""Capture of calls for the journal: bodies and form fields, without whole pictures."""
