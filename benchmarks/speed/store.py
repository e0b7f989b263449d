"""The smallest FastAPI application that validates a JSON body and stores it: ``python store.py PORT FILE``.

It is the floor of the calls that create something. Like the emulator, it has one thread for the database, and
waits for the commit before it answers.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header
from pydantic import BaseModel


class Creation(BaseModel):
    """The body of a call that creates something."""

    src_file_id: str
    version: str
    features: dict[str, int]


class Created(BaseModel):
    """The response."""

    id: str


app = FastAPI()
database = sqlite3.connect(sys.argv[2], isolation_level=None, check_same_thread=False)
thread = ThreadPoolExecutor(1)


def insert(*values: Any) -> None:
    """Store a document, and commit it."""
    database.execute("INSERT INTO documents VALUES (?, ?, ?)", values)


@app.get("/")
async def ready() -> None:
    """Show that the server is ready."""


@app.post("/")
async def create(body: Creation, authorization: Annotated[str, Header()]) -> Created:
    """Store a document under a new id."""
    key = uuid.uuid4().hex
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(thread, insert, key, authorization, body.model_dump_json())
    return Created(id=key)


if __name__ == "__main__":
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")  # as in the emulator, whose file is temporary here
    database.execute("CREATE TABLE documents (key TEXT PRIMARY KEY, credential TEXT, document TEXT)")
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
