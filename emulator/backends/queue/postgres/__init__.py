"""A queue of tasks in PostgreSQL, which several processes can use. Its jobs are those of Procrastinate."""

from emulator.backends.queue.postgres.queue import PostgresQueue

__all__ = ["PostgresQueue"]
