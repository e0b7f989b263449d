"""Units: what a key has, what it spent, and what features cost."""
