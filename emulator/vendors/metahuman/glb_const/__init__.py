"""The GLB constructor API. It merges the head of a face with models of a client to a GLB file."""
