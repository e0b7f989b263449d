"""The console in a real browser, against a real emulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import Receiver
from playwright.sync_api import FilePayload, Page, expect

Opener = Callable[..., Page]

TASK = "/s2s/v2.0/task/face-reshape"
FAILING = {"src_file_url": "http://127.0.0.1:9/", "version": "1.0", "features": {"jaw": 1}, "global": {}}

VIEWS = {
    "live": "Calls",
    "play/faceplusplus": "Playground",
    "play/metahuman": "Playground",
    "play/perfectcorp": "Playground",
    "faults?tab=errors&q=credit": "Faults and scenarios",
    "faults?tab=scenarios": "Faults and scenarios",
    "tasks": "Tasks and webhooks",
    "clock": "Clock",
    "costs": "Costs",
    "credentials": "Credentials and lifetimes",
    "snapshot": "Snapshot",
    "contract?q=transfer": "Contract",
}

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

PIXELS = """canvas => {
    const copy = document.createElement("canvas");
    copy.width = 64;
    copy.height = 48;
    const context = copy.getContext("2d");
    context.drawImage(canvas, 0, 0, 64, 48);
    return [...context.getImageData(0, 0, 64, 48).data];
}"""

DIFFERENCE = """async ([one, other]) => {
    const load = async url => createImageBitmap(await (await fetch(url)).blob());
    const read = picture => {
        const canvas = new OffscreenCanvas(picture.width, picture.height);
        const context = canvas.getContext("2d");
        context.drawImage(picture, 0, 0);
        return context.getImageData(0, 0, picture.width, picture.height).data;
    };
    const [a, b] = await Promise.all([load(one), load(other)]);
    const [p, q] = [read(a), read(b)];
    let largest = 0;
    for (let index = 0; index < p.length; index++) largest = Math.max(largest, Math.abs(p[index] - q[index]));
    return [a.width === b.width && a.height === b.height, largest];
}"""


def last_call(api: httpx.Client) -> int:
    """Return the number of the newest call. A reset does not restart the numbers."""
    number: int = api.get("/_emulator/health").json()["journal"]["last"]
    return number


def take_photo(page: Page, data: bytes) -> None:
    photo: FilePayload = {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": data}
    page.locator("#photo-file").set_input_files(photo)


def drop_photo(page: Page, data: bytes) -> None:
    """Drop a picture on the panel, as a file manager does."""
    transfer = page.evaluate_handle(
        """data => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], "me.jpg", { type: "image/jpeg" }));
            return transfer;
        }""",
        list(data),
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})


def still_picture(page: Page) -> str:
    """Wait until the canvas shows a model and no longer changes, and return its pixels."""
    page.wait_for_function(
        f"""async () => {{
            const read = () => ({PIXELS})(document.querySelector("canvas"));
            const before = read();
            await new Promise(done => setTimeout(done, 250));
            return new Set(before).size > 60 && String(before) === String(read());
        }}"""
    )
    return ",".join(map(str, page.locator("canvas").evaluate(PIXELS)))


def spread(pixels: list[int]) -> int:
    """Return the number of different colours of a canvas."""
    return len({tuple(pixels[begin : begin + 4]) for begin in range(0, len(pixels), 4)})


def reshape(api: httpx.Client, key: str, photo: bytes) -> dict[str, Any]:
    """Reshape a face as a client does, and return the last poll."""
    headers = {"Authorization": f"Bearer {key}"}
    new = {"content_type": "image/jpeg", "file_name": "me.jpg", "file_size": len(photo)}
    file = api.post("/s2s/v2.0/file", json={"files": [new]}, headers=headers).json()["data"]["files"][0]
    upload = file["requests"][0]
    api.put(upload["url"], content=photo, headers={"Content-Type": "image/jpeg"}).raise_for_status()
    api.put(f"/_emulator/progression?credential={key}", json={"mode": "immediate"}).raise_for_status()
    body = {**FAILING, "src_file_id": file["file_id"], "features": {"eye_size": 60}}
    task = api.post(TASK, json=body, headers=headers).json()["data"]["task_id"]
    poll: dict[str, Any] = api.get(f"{TASK}/{task}", headers=headers).json()["data"]
    return poll


def test_a_dropped_picture_becomes_a_mesh_that_turns(opened: Opener, face_jpeg: bytes) -> None:
    page = opened("play/faceplusplus/3dface?credential=me", width=900, height=500)
    drop_photo(page, face_jpeg)
    expect(page.get_by_role("tab", name="Response 200")).to_be_visible()
    canvas = page.locator("canvas")
    front = list(map(int, still_picture(page).split(",")))
    assert spread(front) > 200
    assert canvas.evaluate("canvas => canvas.getContext('webgl2').isContextLost()") is False
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        f"old => String(({PIXELS})(document.querySelector('canvas'))) !== old", arg=",".join(map(str, front))
    )
    # The stage is empty beside the head, but not if the head is shown over the photo.
    corner = (6 * 64 + 14) * 4 + 3
    assert front[corner] == 0
    page.get_by_role("button", name="Show over the photo").click()
    page.wait_for_function(f"() => ({PIXELS})(document.querySelector('canvas'))[{corner}] === 255")
    expect(page.get_by_label("The request in curl")).to_contain_text("image_file_1=@me.jpg")


def test_a_slider_changes_the_picture_and_the_arrow_keys_move_the_divider(
    opened: Opener, face_jpeg: bytes
) -> None:
    page = opened("play/perfectcorp?credential=me")
    take_photo(page, face_jpeg)
    after = page.get_by_alt_text("After", exact=True)
    before = page.get_by_alt_text("Before", exact=True).get_attribute("src")
    expect(after).to_have_attribute("src", before or "")
    slider = page.get_by_role("slider", name="eye_size", exact=True)
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("-100", "100")
    assert page.locator(".group [data-name]").count() == 30
    slider.fill("90")
    slider.dispatch_event("change")
    expect(page.get_by_text("From request to picture")).to_be_visible()
    same_size, largest = page.evaluate(DIFFERENCE, [before, after.get_attribute("src")])
    assert same_size
    assert largest > 60
    handle = page.get_by_role("slider", name="Divider between before and after")
    handle.press("ArrowLeft")
    expect(handle).to_have_attribute("aria-valuenow", "48")
    handle.press("End")
    expect(handle).to_have_attribute("aria-valuenow", "100")
    page.get_by_role("tab", name="Python").click()
    expect(page.get_by_label("The request in Python")).to_contain_text('"eye_size": 90')


def test_the_80_numbers_move_the_head(opened: Opener, face_jpeg: bytes) -> None:
    page = opened("play/metahuman", width=900, height=500)
    take_photo(page, face_jpeg)
    expect(page.get_by_text("The head was assembled")).to_be_visible()
    expect(page.get_by_role("button", name="52 blend shapes")).to_be_visible()
    old = still_picture(page)
    sliders = page.get_by_role("slider", name=re.compile("blendShapes"))
    assert sliders.count() == 80
    sliders.first.fill("4")
    page.wait_for_function(f"old => String(({PIXELS})(document.querySelector('canvas'))) !== old", arg=old)


def test_landmarks_are_drawn_on_the_photo(opened: Opener, two_faces_jpeg: bytes) -> None:
    page = opened("play/faceplusplus/detect")
    take_photo(page, two_faces_jpeg)
    expect(page.get_by_role("img", name="212 landmarks on 2 faces")).to_be_visible()


def test_an_error_that_a_switch_provokes_is_explained_in_the_list(opened: Opener, api: httpx.Client) -> None:
    page = opened("faults?tab=errors&credential=me")
    page.get_by_label("Find an error").fill("CreditInsufficiency")
    page.get_by_role("switch", name="Inject CreditInsufficiency of Perfect Corp").click()
    expect(page.locator(".error-card.on")).to_have_count(1)
    page.keyboard.press("Escape")
    refused = api.post(TASK, json=FAILING, headers={"Authorization": "Bearer me"})
    assert refused.json()["error_code"] == "CreditInsufficiency"
    page.get_by_role("link", name="Live", exact=True).click()
    page.locator(".call", has_text="create_reshape").get_by_role("link").click()
    detail = page.get_by_role("region", name=re.compile("Call"))
    expect(detail.get_by_text("Injected")).to_be_visible()
    expect(detail.get_by_role("link", name=re.compile("^rule "))).to_be_visible()


def test_an_error_without_a_fault_is_explained_by_the_catalogue(opened: Opener, api: httpx.Client) -> None:
    page = opened("live")
    api.post("/facepp/v1/3dface", data={"api_key": "me"})
    page.locator(".call", has_text="3dface").get_by_role("link").click()
    expect(page.get_by_role("link", name="MISSING_CREDENTIAL")).to_be_visible()


def test_a_task_is_one_row_with_its_polls_pictures_and_cost(
    opened: Opener, api: httpx.Client, face_jpeg: bytes
) -> None:
    page = opened("live?credential=me")
    poll = reshape(api, "me", face_jpeg)
    assert api.get(poll["results"]["url"]).status_code == 200
    row = page.locator(".call", has_text="create_reshape")
    expect(row).to_contain_text("success · 2 calls")
    expect(page.locator(".call", has_text="check_reshape")).to_have_count(0)
    row.get_by_role("button", name="2 calls of the task").click()
    expect(page.locator(".call.child")).to_have_count(2)
    row.get_by_role("link").click()
    page.get_by_role("button", name="Its task").click()
    detail = page.locator(".detail")
    expect(detail.get_by_text("0.1000 USD")).to_be_visible()
    expect(detail.get_by_role("link", name="poll: success")).to_be_visible()
    pictures = detail.get_by_role("img")
    expect(pictures).to_have_count(2)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.detail img')].every(each => each.naturalWidth)"
    )


def test_a_webhook_is_delivered_again(opened: Opener, api: httpx.Client, receiver: Receiver) -> None:
    api.put("/_emulator/progression?credential=me", json={"mode": "immediate"}).raise_for_status()
    page = opened("tasks?tab=webhooks&credential=me")
    page.get_by_label("URL of your receiver").fill(receiver.url)
    page.get_by_role("button", name="Add endpoint").click()
    expect(page.get_by_label("Secret of the endpoint")).to_contain_text("whsec_")
    api.post(TASK, json=FAILING, headers={"Authorization": "Bearer me"}).raise_for_status()
    (first,) = receiver.wait(1)
    page.get_by_role("button", name=re.compile("Deliveries")).click()
    page.get_by_role("button", name="Replay").click()
    _, second = receiver.wait(2)
    assert second.body == first.body
    expect(page.get_by_text("(sent again)")).to_be_visible()


def test_advancing_the_clock_lets_a_url_expire(opened: Opener, api: httpx.Client, face_jpeg: bytes) -> None:
    url = reshape(api, "me", face_jpeg)["results"]["url"]
    assert api.get(url).status_code == 200
    page = opened("clock?credential=me")
    page.get_by_role("button", name="+ 1 day").click()
    expect(page.get_by_text("1.0 days ahead of the machine's clock")).to_be_visible()
    assert "Request has expired" in api.get(url).text
    assert api.get("/_emulator/clock").json()["own"] is False


def test_two_credentials_do_not_see_each_other(opened: Opener, api: httpx.Client) -> None:
    for key in ("one", "other"):
        api.post(TASK, json=FAILING, headers={"Authorization": f"Bearer {key}"}).raise_for_status()
        api.post("/_emulator/faults", json={"match": {"credential": key}, "effect": "slow", "count": 9})
    for key in ("one", "other"):
        page = opened(f"live?credential={key}")
        expect(page.locator(".call")).to_have_count(1)
        page.locator(".call").get_by_role("link").click()
        expect(page.locator(".detail .facts")).to_contain_text(f"as {key}")
        page.get_by_role("link", name=re.compile("Tasks")).click()
        expect(page.locator("tbody tr")).to_have_count(1)
        expect(page.locator("tbody")).to_contain_text(key)
        page.get_by_role("link", name="Faults", exact=True).click()
        expect(page.locator(".card")).to_have_count(1)


def test_an_open_call_stays_still_while_calls_come_in(opened: Opener, api: httpx.Client) -> None:
    first = last_call(api) + 1
    for _ in range(60):
        api.get("/s2s/v1.0/client/credit")
    page = opened("live")
    expect(page.locator(f'.call[data-number="{first + 59}"]')).to_be_visible()
    row = page.locator(f'.call[data-number="{first + 50}"]')
    row.get_by_role("link").click()
    expect(page.locator(".detail")).to_be_visible()
    place = row.bounding_box()
    for _ in range(300):
        api.get("/s2s/v1.0/client/credit")
    expect(page.locator(".foot")).to_contain_text("360 calls")
    assert row.bounding_box() == place
    # Only the visible rows are in the document.
    assert page.locator(".call").count() < 80
    page.get_by_role("button", name=re.compile("Newest")).click()
    expect(page.locator(f'.call[data-number="{first + 359}"]')).to_be_visible()


def test_an_address_opens_a_call_and_a_replay_opens_the_new_call(opened: Opener, api: httpx.Client) -> None:
    page = opened("live")
    first = last_call(api) + 1
    api.post("/facepp/v3/detect", data={"api_key": "me", "api_secret": "s"})
    page.get_by_role("link", name=re.compile("detect")).click()
    page.get_by_role("button", name="Replay").click()
    expect(page).to_have_url(re.compile(f"/live/{first + 1}$"))
    expect(page.get_by_role("region", name=f"Call {first + 1}")).to_be_visible()
    sent = [call["sent"] for call in api.get("/_emulator/calls").json()["calls"]]
    assert sent[0] == sent[1]
    again = opened(f"live/{first}")
    expect(again.get_by_role("region", name=f"Call {first}")).to_be_visible()
    lost = opened("no-such-view")
    expect(lost.get_by_text("This page does not exist")).to_be_visible()


def test_everything_can_be_reached_with_the_keyboard(opened: Opener, api: httpx.Client) -> None:
    page = opened("live")
    first = last_call(api) + 1
    api.get("/s2s/v1.0/client/credit")
    api.get("/s2s/v1.0/client/credit")
    expect(page.locator(".call")).to_have_count(2)
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile(f"/live/{first + 1}$"))
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile(f"/live/{first}$"))
    page.keyboard.press("Escape")
    expect(page.locator(".detail")).to_have_count(0)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_contain_text("next call")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Clock")).to_be_visible()
    page.keyboard.press(".")
    page.keyboard.type("me")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/clock[?]credential=me"))
    page.get_by_role("button", name="Freeze").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Run")).to_be_visible()


def test_destructive_buttons_ask_first(opened: Opener, api: httpx.Client) -> None:
    api.get("/s2s/v1.0/client/credit")
    page = opened("live")
    expect(page.locator(".call")).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Cancel").click()
    assert api.get("/_emulator/calls").json()["total"] == 1
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("dialog").get_by_role("button", name="Clear").click()
    expect(page.get_by_text("No calls yet")).to_be_visible()
    assert api.get("/_emulator/calls").json()["total"] == 0


def test_the_contract_says_what_is_a_guess(opened: Opener, api: httpx.Client) -> None:
    guesses = len(api.get("/_emulator/ledger?mark=GUESS").json())
    page = opened("contract?mark=GUESS")
    expect(page.get_by_role("button", name=f"Guesses · {guesses}")).to_be_visible()
    expect(page.locator(".fact .mark").first).to_have_text("a guess")
    page.get_by_label("Find a fact").fill("transfer_matrix")
    expect(page.locator(".fact").first).to_contain_text("transfer_matrix")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_every_view_is_accessible_and_fits(
    opened: Opener, api: httpx.Client, width: int, scheme: str
) -> None:
    api.post(TASK, json=FAILING, headers={"Authorization": "Bearer me"}).raise_for_status()
    api.post("/_emulator/faults", json={"effect": "slow", "match": {"credential": "nobody"}, "count": 2})
    call = last_call(api)
    page = opened(f"live/{call}", width=width, scheme=scheme)
    expect(page.locator(".detail h2")).to_be_visible()
    axe = Axe()
    backgrounds = set()
    for view, heading in {f"live/{call}": f"Call {call}", **VIEWS}.items():
        page.evaluate(
            "url => { history.pushState(null, '', url); dispatchEvent(new PopStateEvent('popstate')); }",
            f"/_emulator/console/{view}",
        )
        if view.startswith("live"):
            page.get_by_role("region", name=heading).wait_for()
        else:
            page.get_by_role("heading", name=heading, exact=True).wait_for()
        found = axe.run(page, options={"resultTypes": ["violations"], "runOnly": RULES}).response[
            "violations"
        ]
        serious = [
            (each["id"], [node["html"][:120] for node in each["nodes"][:3]])
            for each in found
            if each["impact"] in {"serious", "critical"}
        ]
        assert serious == [], view
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert page.evaluate("document.querySelector('main').scrollWidth") <= width, view
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    (background,) = backgrounds
    brightness = sum(map(int, re.findall(r"\d+", background)[:3])) / 3
    assert (brightness > 200) == (scheme == "light")
