"""The API Detect, which finds faces, and returns their landmarks and attributes."""
