"""Uploads five bytes to Perfect Corp with HTTPX."""

import httpx

FILES = {"files": [{"content_type": "image/jpg", "file_name": "a.jpg", "file_size": 5}]}

asked = httpx.post(
    "https://yce-api-01.makeupar.com/s2s/v2.0/file", json=FILES, headers={"Authorization": "Bearer k"}
)
request = asked.json()["data"]["files"][0]["requests"][0]
upload = httpx.put(request["url"], content=b"12345", headers=request["headers"])
print("done", upload.status_code)
