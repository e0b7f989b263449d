"""The code under test: it reshapes a photo with Perfect Corp, and makes a head of it with Face++."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass

import httpx


class ShopError(Exception):
    """The photo cannot be used; the message is for the customer."""


@dataclass
class Shop:
    """A client of two services, with the keys of the shop."""

    faceplusplus_key: str
    faceplusplus_secret: str
    perfectcorp_key: str
    faceplusplus_url: str = "https://api-us.faceplusplus.com"
    perfectcorp_url: str = "https://yce-api-01.makeupar.com"
    wait_seconds: float = 1.0

    def head(self, photo: bytes) -> str:
        """Return the head in a photo as OBJ."""
        answer = httpx.post(
            f"{self.faceplusplus_url}/facepp/v1/3dface",
            data={"api_key": self.faceplusplus_key, "api_secret": self.faceplusplus_secret},
            files={"image_file_1": photo},
            timeout=60,
        )
        document = answer.json()
        if "MULTIPLE_FACE_FOUND" in document.get("error_message", ""):
            raise ShopError("Please send a photo of one person.")
        answer.raise_for_status()
        return base64.b64decode(document["obj_file"]).decode()

    def slimmer(self, photo: bytes) -> bytes:
        """Return the photo with a slimmer face."""
        task = self._call("POST", "/task/face-reshape", json=self._order(photo))["task_id"]
        for _ in range(60):
            state = self._call("GET", f"/task/face-reshape/{task}")
            if state["task_status"] == "success":
                return httpx.get(state["results"]["url"], timeout=60).raise_for_status().content
            if state["task_status"] == "error":
                raise ShopError(f"The photo cannot be used: {state['error']}.")
            time.sleep(self.wait_seconds)
        raise ShopError("Please try again later.")

    def _order(self, photo: bytes) -> dict[str, object]:
        """Upload the photo, and return the body of a new task."""
        new = {"content_type": "image/jpeg", "file_name": "photo.jpg", "file_size": len(photo)}
        file = self._call("POST", "/file", json={"files": [new]})["files"][0]
        upload = file["requests"][0]
        httpx.put(upload["url"], content=photo, headers=upload["headers"], timeout=60).raise_for_status()
        return {
            "src_file_id": file["file_id"],
            "version": "1.0",
            "features": {"face_width": -30},
            "global": {},
        }

    def _call(self, method: str, path: str, **options: object) -> dict:
        """Call Perfect Corp, and wait if there were too many calls."""
        for pause in (1, 2, 4):
            answer = httpx.request(
                method,
                f"{self.perfectcorp_url}/s2s/v2.0{path}",
                headers={"Authorization": f"Bearer {self.perfectcorp_key}"},
                timeout=60,
                **options,
            )
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(pause * self.wait_seconds)
        return answer.raise_for_status().json()["data"]
