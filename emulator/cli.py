"""The command ``face-emulator``, assembled from ``emulator.commands``."""

from __future__ import annotations

import os
from typing import Any

import click

from emulator.arithmetic import arithmetic_variables
from emulator.commands.group import CommandGroup, LazyCommands

INTERRUPTED = 130
"""Exit code after Ctrl+C, as in shells: 128 plus the number of SIGINT, which is 2."""


class Program(CommandGroup):
    """The group of all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. After Ctrl+C, exit with ``INTERRUPTED`` instead of Click's exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Program,
    commands=LazyCommands(
        "emulator.commands",
        {
            "serve": "serve.serve",
            "worker": "worker.worker",
            "exec": "execute.execute",
            "env": "environment.env",
            "demo": "demo.demo",
            "explore": "explore.explore",
            "faces": "faces.faces",
            "drift": "drift.drift",
            "health": "world.health",
            "metrics": "world.metrics",
            "wait": "world.wait",
            "healthcheck": "doctor.healthcheck",
            "doctor": "doctor.doctor",
            "listen": "calls.listen",
            "openapi": "world.openapi",
            "ledger": "world.ledger",
            "reset": "world.reset",
            "lifetimes": "world.lifetimes",
            "costs": "world.costs",
            "clock": "clock.group",
            "faults": "faults.group",
            "scenario": "scenario.group",
            "tasks": "tasks.group",
            "webhooks": "webhooks.group",
            "calls": "calls.group",
            "credentials": "credentials.group",
            "snapshot": "snapshot.group",
            "completion": "completion.completion",
        },
    ),
    context_settings={"max_content_width": 120, "show_default": True},
)
@click.version_option(package_name="face-api-emulator", prog_name="face-emulator")
def app() -> None:
    """Emulate three face-AI web APIs on this machine."""
    # Set the variables before numpy is loaded, so that results are the same on all processors with AVX2.
    os.environ.update(arithmetic_variables())


def main() -> None:
    """Run the command line."""
    app()
