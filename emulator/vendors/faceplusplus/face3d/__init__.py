"""3D Face: reconstruct a head from one to three photos, with OBJ, MTL, texture and view matrices."""
