"""The use cases: bytes in, results out. What a worker process runs.

Every pipeline is a module-level function whose arguments and result can be pickled, so that the
same function runs in a thread, in a process and on another machine.
"""
