"""Counting: get the number of faces in a picture."""
