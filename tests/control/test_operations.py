from __future__ import annotations

import httpx
from vendor_data import VENDORS


def test_the_operations_of_every_vendor_are_listed(client: httpx.Client) -> None:
    listed = client.get("/_emulator/operations").json()
    assert list(listed) == list(VENDORS)
    for name, vendor in VENDORS.items():
        webhook = ["webhook"] if vendor.has_webhooks else []
        assert listed[name]["operations"] == [*vendor.operations, *webhook]
    assert listed["faceplusplus"]["creating_tasks"] == []
    assert listed["metahuman"]["taking_pictures"][0] == "run_pipeline"
    assert listed["metahuman"]["billed"][0] == "run_pipeline"
    assert listed["perfectcorp"]["creating_tasks"] == ["create_reshape", "create_pre_process"]
    assert listed["perfectcorp"]["taking_pictures"] == ["upload"]
    assert listed["perfectcorp"]["billed"] == ["create_reshape", "create_pre_process"]
    assert listed["example_vendor"] == {
        "operations": ["count", "create_crop", "check_crop", "webhook"],
        "creating_tasks": ["create_crop"],
        "taking_pictures": ["count"],
        "billed": ["count", "create_crop"],
    }
