"""Cropping: create a task that cuts out the largest face in a picture."""
