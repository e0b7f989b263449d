"""The pipelines: functions from bytes to results that run in worker processes.

Only worker processes import the modules of the pipelines, because these modules load MediaPipe and the rest
of ``emulator.face``. Other code imports ``options``, which contains the arguments, the results and the names
of the pipelines.
"""
