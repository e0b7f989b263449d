"""Units, the credits with which a key pays for tasks: balance, history and prices."""
