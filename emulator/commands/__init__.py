"""The commands of ``face-emulator``, one module for each group.

A command imports what it needs when it runs: `--help` answers at once, and so does every worker
process, which loads ``emulator.cli`` as its main module.
"""
