"""The API Dense Facial Landmarks, which returns about a thousand points of the largest face."""
