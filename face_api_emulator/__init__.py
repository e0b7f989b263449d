"""The part of face-api-emulator that runs in other projects: its Python client and its pytest plugin.

It imports neither the emulator nor the dependencies of the emulator. pytest loads the plugin in every run of
a project. The package therefore has a name that no project uses for its own code, unlike ``emulator``.
"""
