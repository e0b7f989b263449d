"""The GLB constructor API. It merges the head of a face and a client's models into a GLB file."""
