"""Uploads five bytes to Perfect Corp with requests."""

import requests

FILES = {"files": [{"content_type": "image/jpg", "file_name": "a.jpg", "file_size": 5}]}

asked = requests.post(
    "https://yce-api-01.makeupar.com/s2s/v2.0/file",
    json=FILES,
    headers={"Authorization": "Bearer k"},
    timeout=60,
)
request = asked.json()["data"]["files"][0]["requests"][0]
upload = requests.put(request["url"], data=b"12345", headers=request["headers"], timeout=60)
print("done", upload.status_code)
