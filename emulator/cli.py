"""The command ``face-emulator``, assembled from ``emulator.commands``."""

from __future__ import annotations

import os

import typer

from emulator.arithmetic import arithmetic_variables
from emulator.commands import (
    calls,
    clock,
    credentials,
    demo,
    doctor,
    drift,
    environment,
    execute,
    explore,
    faces,
    faults,
    scenario,
    serve,
    snapshot,
    tasks,
    webhooks,
    world,
)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command(cls=serve.ServeCommand)(serve.serve)
app.command("exec")(execute.execute)
app.command()(environment.env)
app.command()(demo.demo)
app.command()(explore.explore)
app.command()(faces.faces)
app.command()(drift.drift)
app.command()(world.health)
app.command()(world.wait)
app.command()(doctor.healthcheck)
app.command()(doctor.doctor)
app.command()(calls.listen)
app.command()(world.openapi)
app.command()(world.reset)
app.command()(world.lifetimes)
app.command()(world.costs)
app.add_typer(clock.group, name="clock")
app.add_typer(faults.group, name="faults")
app.add_typer(scenario.group, name="scenario")
app.add_typer(tasks.group, name="tasks")
app.add_typer(webhooks.group, name="webhooks")
app.add_typer(calls.group, name="calls")
app.add_typer(credentials.group, name="credentials")
app.add_typer(snapshot.group, name="snapshot")


@app.callback()
def _describe() -> None:
    """Emulate three face-AI web APIs on this machine."""
    # Set before numpy is loaded, so that results are the same on all processors.
    os.environ.update(arithmetic_variables())


def main() -> None:
    """Run the command line."""
    app()
