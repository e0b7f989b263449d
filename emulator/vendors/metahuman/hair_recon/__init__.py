"""The hair reconstruction API. It returns a 3D model of the hair in a photo. The model fits the head."""
