"""State that a tester controls and inspects, independent of vendors and of HTTP."""
