"""What is taken down of a call while it passes: bodies, forms, and never a whole picture."""
