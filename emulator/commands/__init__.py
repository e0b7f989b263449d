"""The commands of ``face-emulator``, one module for each group.

A command imports its dependencies when it runs, so that ``--help`` is fast. Worker processes start faster
too, because they load ``emulator.cli`` as their main module.
"""
