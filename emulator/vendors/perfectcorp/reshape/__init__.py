"""The API AI Face Reshape: reshape and pre-process tasks, and the engine that performs them."""
