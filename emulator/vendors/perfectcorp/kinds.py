"""The kinds of Perfect Corp's tasks."""

from __future__ import annotations

RESHAPE, PRE_PROCESS = "perfectcorp/face-reshape", "perfectcorp/face-reshape/pre-process"
