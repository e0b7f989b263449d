"""Units: the balance and the history of a key, and the costs of features."""
