"""3D Face, which reconstructs a head from one to three photos as OBJ, MTL, texture and view matrices."""
