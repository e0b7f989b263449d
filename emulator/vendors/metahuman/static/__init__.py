"""The files that answers name, such as textures."""
