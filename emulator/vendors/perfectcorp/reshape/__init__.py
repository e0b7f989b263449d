"""AI Face Reshape: tasks, polls, pre-process, and the engine that does the work."""
