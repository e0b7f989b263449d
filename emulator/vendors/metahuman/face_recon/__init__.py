"""Face reconstruction: get texture, coefficients and attributes of a face from a photo."""
