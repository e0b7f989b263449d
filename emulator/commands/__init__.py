"""The commands of ``face-emulator``, one module for each group.

A command imports its dependencies only when it runs. This makes ``--help`` fast, and also the start of worker
processes, because they load ``emulator.cli`` as their main module.
"""
