"""The face reconstruction API. It returns a texture, coefficients and attributes of the face in a photo."""
