"""Parsing of multipart forms, for the vendors and for the journal."""
