"""The API Facial Features, which measures the largest face and classifies its parts."""
