"""Face reconstruction, which returns the texture, coefficients and attributes of a face in a photo."""
