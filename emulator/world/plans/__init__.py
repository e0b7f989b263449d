"""Plans: scripts that fix the order of polls and webhooks for the tasks of a credential."""
