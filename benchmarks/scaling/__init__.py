"""Speed of several servers and workers on one database, side by side with one server that needs none."""
