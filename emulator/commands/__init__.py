"""The commands of ``face-emulator``, one module for each group.

``emulator.cli`` imports the module of a command when the command is needed, and a command imports its
dependencies when it runs. This makes ``--help`` and the start of worker processes fast. Worker processes load
``emulator.cli`` as their main module.
"""
