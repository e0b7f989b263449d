"""The commands of ``face-emulator``, one module for each group.

``emulator.cli`` imports the module of a command when the command is needed, and a command imports its
dependencies when it runs. This makes ``--help`` fast, and also the start of worker processes, because they
load ``emulator.cli`` as their main module.
"""
