"""Export of calls as an HTTP archive (HAR 1.2), a JSON format that browsers and proxies can open.

The format is specified at http://www.softwareishard.com/blog/har-12-spec/ . It requires that the names of
additional members start with an underscore.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from emulator.world.journal.entry import Entry

UNKNOWN = -1
"""Value for a size or a time that is unknown."""


def har_frame(version: str) -> tuple[str, str]:
    """Return the parts of a HAR document before and after its entries. Commas separate the entries."""
    creator = json.dumps({"name": "face-api-emulator", "version": version})
    return f'{{"log":{{"version":"1.2","creator":{creator},"entries":[', "]}}"


def har_entry(entry: Entry) -> str:
    """Return a call as the JSON text of a HAR entry."""
    return json.dumps(_entry(entry), ensure_ascii=False)


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "startedDateTime": _moment(entry.real_started_at),
        "time": entry.duration_ms,
        "request": _request(entry),
        "response": _response(entry),
        "cache": {},
        "timings": {"send": 0, "wait": entry.duration_ms, "receive": 0},
        "_number": entry.number,
        "_vendor": entry.vendor,
        "_operation": entry.operation,
        "_credential": entry.credential,
        "_clock": _moment(entry.started_at),
        "_fault": entry.fault,
        "_warnings": entry.warnings,
    }


def _request(entry: Entry) -> dict[str, Any]:
    query = f"?{urlencode([(name, value) for name, value in entry.query])}" if entry.query else ""
    request: dict[str, Any] = {
        "method": entry.method,
        "url": f"{entry.url}{entry.path}{query}",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(entry.request_headers),
        "queryString": _pairs(entry.query),
        "headersSize": UNKNOWN,
        "bodySize": 0 if entry.sent is None else entry.sent.get("bytes", UNKNOWN),
    }
    if entry.sent is not None:
        request["postData"] = _post_data(entry.sent, _type(entry.request_headers))
    return request


def _post_data(sent: dict[str, Any], mime_type: str) -> dict[str, Any]:
    if "fields" not in sent:
        # HAR requires text. If the journal did not keep the body, use the journal's description of the body.
        text = sent.get("text") or json.dumps(sent.get("json", sent), ensure_ascii=False)
        return {"mimeType": mime_type, "text": text}
    params = []
    for name, given in sent["fields"].items():
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, str):
                params.append({"name": name, "value": value})
            else:
                file = {"fileName": value.get("file_name"), "contentType": value.get("content_type")}
                digest = {"_bytes": value["bytes"], "_sha256": value["sha256"]}
                known = {member: text for member, text in file.items() if text is not None}
                params.append({"name": name, **known, **digest})
    return {"mimeType": mime_type, "params": params}


def _response(entry: Entry) -> dict[str, Any]:
    answer = entry.answer or {"bytes": 0}
    content: dict[str, Any] = {"size": answer["bytes"], "mimeType": _type(entry.response_headers)}
    if "json" in answer or "text" in answer:
        content["text"] = answer.get("text") or json.dumps(answer.get("json"), ensure_ascii=False)
    elif "sha256" in answer:
        content["comment"] = f"sha256 {answer['sha256']}"
    response: dict[str, Any] = {
        # Browsers write status 0 if there was no response.
        "status": entry.status or 0,
        "statusText": _reason(entry.status),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(entry.response_headers),
        "content": content,
        "redirectURL": "",
        "headersSize": UNKNOWN,
        "bodySize": answer["bytes"],
    }
    if not entry.is_complete:
        response["_error"] = "the connection was dropped"
    return response


def _pairs(pairs: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _type(headers: Sequence[Sequence[str]]) -> str:
    return next((value for name, value in headers if name.lower() == "content-type"), "x-unknown")


def _reason(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return ""


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
