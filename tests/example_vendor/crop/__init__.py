"""The API Cropping, with tasks that find the largest face in a picture."""
