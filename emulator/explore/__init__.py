"""Searches for an order of polls and webhooks that breaks a client.

The client is any command. It runs once without a plan, and then once for each order. Each run has its own
credential, so that it does not see the tasks of other runs. An order says how many polls return a running
task, and when the webhooks arrive relative to the client's calls. It contains no times, so the client can be
fast or slow.
"""

from emulator.explore.command import CannotExplore, Exploration, explore_plans
from emulator.explore.plans import Plan, Result, plans

__all__ = ["CannotExplore", "Exploration", "Plan", "Result", "explore_plans", "plans"]
