"""A queue of tasks in PostgreSQL, which several processes can share. The tasks are jobs of Procrastinate."""

from emulator.backends.queue.postgres.queue import PostgresQueue

__all__ = ["PostgresQueue"]
