"""Uploads five bytes to Perfect Corp with aiohttp."""

import asyncio

import aiohttp

FILES = {"files": [{"content_type": "image/jpg", "file_name": "a.jpg", "file_size": 5}]}


async def main() -> None:
    async with aiohttp.ClientSession() as session:
        url = "https://yce-api-01.makeupar.com/s2s/v2.0/file"
        async with session.post(url, json=FILES, headers={"Authorization": "Bearer k"}) as asked:
            request = (await asked.json())["data"]["files"][0]["requests"][0]
        async with session.put(request["url"], data=b"12345", headers=request["headers"]) as upload:
            print("done", upload.status)


asyncio.run(main())
