"""Static files, such as textures."""
