"""The part of face-api-emulator that runs in other projects: its Python client and its pytest plugin.

It imports neither the emulator nor its dependencies. pytest loads the plugin in every run of a project, so
the package has a name that no project uses for its own code, unlike ``emulator``.
"""
