"""The API 3D Face, which reconstructs a head as an OBJ mesh with a texture, from one to three photos."""
