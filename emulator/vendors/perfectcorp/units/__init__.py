"""Units, with which a key pays for tasks: balance, history and costs of features."""
