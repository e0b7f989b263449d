"""The API Counting, which returns the number of faces in a picture."""
