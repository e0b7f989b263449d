"""Face reconstruction: a photo in; texture, coefficients and attributes out."""
