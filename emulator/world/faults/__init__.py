"""Faults that a tester injects: effects, rules, and the engine that applies the rules."""
