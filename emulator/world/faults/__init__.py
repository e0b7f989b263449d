"""What a tester wants to go wrong: effects, rules, and the engine that decides."""
