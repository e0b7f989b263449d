"""Estimates for several machines, computed from the measurements of this machine."""

from __future__ import annotations

from typing import Final

from benchmarks.speed.report import Report, rounded

SERVER_POLL: Final = "processor time of a server per poll: 1 server"
OTHER_POLL: Final = "processor time that a poll costs a server that does not answer it"
DATABASE_POLL: Final = "processor time of the database per poll: 2 servers"
WORKER_PICTURE: Final = "processor time of servers and workers per picture"
DATABASE_PICTURE: Final = "processor time of the database per picture"

SILENT_POLL: Final = "processor time of the database per poll: 2 servers, no journal"
COMMITS_POLL: Final = "commits of the database per poll: 1 server"
COMMITS_PICTURE: Final = "commits of the database per picture"
COMMITS: Final = "records written to the database: 12 connections"

NEEDED: Final = (SERVER_POLL, OTHER_POLL, DATABASE_POLL, WORKER_PICTURE, DATABASE_PICTURE)

MACHINES: Final = (1, 10, 100)


def model(report: Report) -> str:
    """Return a table for the documentation, or a sentence if a measurement is missing.

    The model assumes that only processor time matters, that each core runs a server or a worker, and that all
    cores are like those of this machine. Each server also receives notifications of the calls of all others.
    The table also shows how many cores the database needs for this.
    """
    found = [report.median(name) for name in NEEDED]
    if None in found:
        return "no model: it needs the parts `polls` and `pictures`"
    server, other, polling, working, storing = (value for value in found if value is not None)
    cores = int(report.machine["cores"])
    lines = [
        f"| machines of {cores} cores | only polls | database | only pictures | database |",
        "| --- | --- | --- | --- | --- |",
    ]
    for machines in MACHINES:
        servers = machines * cores
        polls = servers * 1e3 / (server + (servers - 1) * other)
        pictures = servers * 1e3 / working
        cells = (
            f"{machines}",
            f"{rounded(polls)} /s",
            f"{rounded(polls * polling / 1e3)} cores",
            f"{rounded(pictures)} /s",
            f"{rounded(pictures * storing / 1e3)} cores",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def limits(report: Report) -> str:
    """Return a table of the limits that more machines do not raise, with the rate that each allows."""
    commits = report.median(COMMITS)
    found = {
        "one core of the database": (1e3, DATABASE_POLL, "polls"),
        "one core of the database, without a journal": (1e3, SILENT_POLL, "polls"),
        "one core of each server, for notifications of the other servers' calls": (1e3, OTHER_POLL, "polls"),
        "one core of the database, for tasks": (1e3, DATABASE_PICTURE, "pictures"),
        "commits of the database, one after another: polls": (commits, COMMITS_POLL, "polls"),
        "commits of the database, one after another: tasks": (commits, COMMITS_PICTURE, "pictures"),
    }
    lines = ["| limit | allows |", "| --- | --- |"]
    for name, (of, cost, what) in found.items():
        each = report.median(cost)
        if of is not None and each is not None:
            lines.append(f"| {name} | {rounded(of / each)} {what}/s |")
    return "\n".join(lines)
