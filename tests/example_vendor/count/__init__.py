"""Counting: a picture in, the number of faces out."""
