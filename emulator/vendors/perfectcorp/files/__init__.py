"""Files: registration, and the object store behind presigned URLs."""
