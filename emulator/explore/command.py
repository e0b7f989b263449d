"""``face-emulator explore``, which runs a client with every order of polls and webhooks."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import httpx
from rich.console import Console

from emulator.explore.plans import Plan, Result, documents, plans
from emulator.server import running_server
from emulator.world.plans.plan import Step

WARM_UP_SECONDS = 120
"""Seconds to wait until the emulator has loaded the face core and is ready."""

LAST_LINES = 15
"""Number of lines to show from the end of a failed client's output."""


class CannotExplore(Exception):
    """The exploration cannot start. The message gives the reason."""


@dataclass(frozen=True)
class Exploration:
    """Options of ``face-emulator explore``.

    Attributes
    ----------
    command : tuple of str
        Command that runs the client.
    endpoint : str or None
        URL that receives the webhooks. None if the client adds its own endpoint.
    secret : str or None
        Signing secret of ``endpoint``. None to generate one.
    vendor : str or None
        Vendor that sends webhooks to ``endpoint``. None for every vendor.
    most_polls, limit : int
        Largest number of polls that return a running task, and largest number of orders to try.
    timeout_s : float
        Seconds after which a run counts as failed.
    patience_s : float
        Seconds that a plan waits for a poll. After that, it continues without the poll.
    """

    command: tuple[str, ...]
    endpoint: str | None = None
    secret: str | None = None
    vendor: str | None = None
    most_polls: int = 2
    limit: int = 100
    timeout_s: float = 60.0
    patience_s: float = 3.0


def explore_plans(
    options: Exploration, url: str | None, console: Console | None = None, *, as_json: bool = False
) -> list[Result]:
    """Run the client with all orders, print the results, and return the results of failed runs.

    The shortest order is tried first. ``url`` is the URL of a running emulator. If it is None, an emulator is
    started. With ``as_json``, one JSON document is printed to stdout at the end, and all other output goes to
    stderr.

    Raises
    ------
    CannotExplore
        If the emulator is not available, or if the run without a plan creates no task or causes no webhook.
    """
    console = console or Console(stderr=as_json)
    with contextlib.ExitStack() as stack:
        base_url = url.rstrip("/") if url else stack.enter_context(running_server()).base_url
        client = stack.enter_context(
            httpx.Client(base_url=base_url, timeout=WARM_UP_SECONDS, trust_env=False)
        )
        with console.status("waiting for the emulator"):
            _wait_until_ready(client)
        runs = _Runs(client, base_url, options)
        with console.status("without a plan"):
            plain = runs.run(None)
        if not plain.tasks or not plain.deliveries:
            _show_output(console, plain)
            raise CannotExplore(_why_nothing(plain))
        console.print(
            f"without a plan: {plain.failure or 'ok'}; {len(plain.tasks)} task(s), "
            f"{plain.deliveries} webhook(s): {plain.happened()}",
            highlight=False,
            soft_wrap=True,
        )
        results = []
        for result in _explore(runs, options, console):
            results.append(result)
            console.print(
                f"{len(results):3}  {_spell_result(result)}", highlight=False, markup=False, soft_wrap=True
            )
    broken = [result for result in results if result.failure is not None]
    _show(console, results, broken)
    if as_json:
        document = {"orders": len(results), "broken": len(broken), "runs": documents([plain, *results])}
        json.dump(document, sys.stdout, indent=1)
        sys.stdout.write("\n")
    return broken


def _explore(runs: _Runs, asked: Exploration, console: Console) -> Iterator[Result]:
    """Yield the result of each order. Skip orders that repeat an earlier order for this client."""
    most = asked.most_polls
    for plan in plans(asked.most_polls)[: asked.limit]:
        if plan.running_polls > most:
            continue  # the client stops polling earlier, so an order with fewer polls has the same effect
        with console.status(str(plan)):
            result = runs.run(plan)
        if result.failure is None and result.running_polls < plan.running_polls:
            most = min(most, result.running_polls)
        yield result


@dataclass
class _Runs:
    """Runs of the client, each with its own credential."""

    client: httpx.Client
    base_url: str
    options: Exploration
    # Random, because a running server may still have the credentials of earlier explorations.
    name: str = field(default_factory=lambda: f"explore-{secrets.token_hex(4)}")
    count: int = 0

    def run(self, plan: Plan | None) -> Result:
        """Run the client once with its own credential, and return the result."""
        self.count += 1
        params = {"credential": f"{self.name}-{self.count}"}
        body: dict[str, object] = {"patience_s": self.options.patience_s}
        if plan is not None:
            body |= {"polls": plan.running_polls, "webhooks": list(plan.webhooks)}
        self.client.put("/_emulator/webhooks/plan", params=params, json=body).raise_for_status()
        try:
            environment = {
                **os.environ,
                "FACE_EMULATOR_URL": self.base_url,
                "FACE_EMULATOR_CREDENTIAL": params["credential"],
                **self._add_endpoint(params),
            }
            with tempfile.TemporaryFile() as output:
                began = time.perf_counter()
                failure = _execute(self.options, environment, output)
                elapsed_s = time.perf_counter() - began
                lines = _last_lines(output)
            recorded = self.client.get("/_emulator/webhooks/plan", params=params).raise_for_status().json()
            sent = self.client.get("/_emulator/webhooks/deliveries", params=params).raise_for_status().json()
        finally:
            self._remove(params)
        tasks = tuple(tuple(Step(step) for step in task["steps"]) for task in recorded["tasks"])
        return Result(plan, tasks, failure, elapsed_s, len(sent), lines)

    def _add_endpoint(self, params: Mapping[str, str]) -> dict[str, str]:
        if self.options.endpoint is None:
            return {}
        new = {"url": self.options.endpoint, "secret": self.options.secret, "vendor": self.options.vendor}
        answer = self.client.post("/_emulator/webhooks/endpoints", params=params, json=new)
        if answer.is_error:
            raise CannotExplore(f"the endpoint cannot be added: {answer.json()['error']}")
        return {"FACE_EMULATOR_WEBHOOK_SECRET": answer.json()["secret"]}

    def _remove(self, params: Mapping[str, str]) -> None:
        # Remove the endpoints first. If the plan were removed first, the webhooks that it holds would be
        # sent, and would reach the next run.
        for endpoint in self.client.get("/_emulator/webhooks/endpoints", params=params).json():
            self.client.delete(f"/_emulator/webhooks/endpoints/{endpoint['id']}")
        self.client.delete("/_emulator/webhooks/plan", params=params)


def _execute(options: Exploration, environment: Mapping[str, str], output: IO[bytes]) -> str | None:
    """Run the command of the client. Return how the client failed, or None if the client succeeded."""
    with subprocess.Popen(  # noqa: S603 - the user's own command
        options.command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            status = process.wait(options.timeout_s)
        except subprocess.TimeoutExpired:
            return f"timeout after {options.timeout_s:g} s"
        finally:
            # Kill the processes that the client started, so that they do not receive the next run's webhooks.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    return None if status == 0 else f"exit status {status}"


def _last_lines(output: IO[bytes]) -> tuple[str, ...]:
    output.seek(0)
    return tuple(output.read().decode(errors="replace").splitlines()[-LAST_LINES:])


def _wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + WARM_UP_SECONDS
    try:
        while client.get("/_emulator/ready").status_code != httpx.codes.OK:
            if time.monotonic() > deadline:
                raise CannotExplore(f"{client.base_url} is not ready after {WARM_UP_SECONDS} s")
            time.sleep(0.1)
    except httpx.TransportError as error:
        raise CannotExplore(f"{client.base_url}: {error}") from error


def _why_nothing(plain: Result) -> str:
    if plain.failure is not None:
        return f"the client fails without a plan: {plain.failure}"
    if not plain.tasks:
        return (
            "the client created no task; it must use the URL in FACE_EMULATOR_URL and the key in "
            "FACE_EMULATOR_CREDENTIAL"
        )
    return (
        "no webhook was sent; let the client add its endpoint for FACE_EMULATOR_CREDENTIAL, or pass the "
        "endpoint with --endpoint"
    )


def _spell_result(result: Result) -> str:
    """Return one line about a run: its result, order, failure, and the real order if it was different."""
    row = f"{'ok' if result.failure is None else 'broken':6}  {result.plan}"
    if result.plan is not None and set(result.tasks) != {result.plan.steps}:
        row += f"  (what happened: {result.happened()})"
    return row if result.failure is None else f"{row}  [{result.failure}]"


def _show(console: Console, results: Sequence[Result], broken: Sequence[Result]) -> None:
    if not broken:
        console.print(f"none of {len(results)} orders breaks the client", style="green")
        return
    shortest = f"{len(broken)} of {len(results)} orders break the client. The shortest: {broken[0].plan}"
    console.print(shortest, style="red", soft_wrap=True)
    _show_output(console, broken[0])


def _show_output(console: Console, result: Result) -> None:
    for line in result.output:
        console.print(f"  | {line}", markup=False, highlight=False, soft_wrap=True)
