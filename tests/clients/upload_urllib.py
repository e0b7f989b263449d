"""Uploads five bytes to Perfect Corp with urllib."""

import json
import urllib.request

FILES = {"files": [{"content_type": "image/jpg", "file_name": "a.jpg", "file_size": 5}]}

asked = urllib.request.Request(
    "https://yce-api-01.makeupar.com/s2s/v2.0/file",
    json.dumps(FILES).encode(),
    {"Authorization": "Bearer k", "Content-Type": "application/json"},
)
request = json.load(urllib.request.urlopen(asked))["data"]["files"][0]["requests"][0]
upload = urllib.request.Request(request["url"], b"12345", request["headers"], method=request["method"])
print("done", urllib.request.urlopen(upload).status)
