"""Cropping: the URL of a picture in, a task that cuts out the largest face."""
