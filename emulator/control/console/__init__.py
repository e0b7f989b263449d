"""The console, a web page at ``/_emulator/console/`` that shows and controls the emulator.

Its sources are in the folder ``console`` of the repository. Its built files are in ``built``, which is not
part of the repository.
"""
