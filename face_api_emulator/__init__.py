"""The part of face-api-emulator that runs in other projects: its Python client and its pytest plugin.

It imports neither the emulator nor its dependencies. pytest loads the plugin in every run of a project, so
this name must not be one that projects use themselves, as ``emulator`` is.
"""
