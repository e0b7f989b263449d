"""3D Face: one to three photos in; OBJ, MTL, texture and view matrices out."""
