"""One folder for each emulated vendor, holding all of its dialect. Found, never listed."""
