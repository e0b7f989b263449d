"""The API Beautify, which retouches the faces in a photo and applies a colour filter."""
