"""Speed of several servers and workers with one database, compared with one server without a database."""
