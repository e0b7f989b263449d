"""The life of asynchronous work, in no vendor's words."""
