from __future__ import annotations

import httpx


def test_the_operations_of_every_vendor_are_listed(client: httpx.Client) -> None:
    assert client.get("/_emulator/operations").json() == {
        "faceplusplus": {
            "operations": ["3dface", "beautify_v1", "beautify_v2"],
            "creating_tasks": [],
            "taking_pictures": ["3dface", "beautify_v1", "beautify_v2"],
            "billed": ["3dface", "beautify_v1", "beautify_v2"],
        },
        "metahuman": {
            "operations": ["token", "run_pipeline", "static"],
            "creating_tasks": [],
            "taking_pictures": ["run_pipeline"],
            "billed": ["run_pipeline"],
        },
        "perfectcorp": {
            "operations": [
                "create_file",
                "create_file_v1",
                "upload",
                "download",
                "create_reshape",
                "check_reshape",
                "create_pre_process",
                "check_pre_process",
                "delete_task",
                "legacy_token",
                "credit",
                "credit_history",
                "feature_cost",
                "webhook",
            ],
            "creating_tasks": ["create_reshape", "create_pre_process"],
            "taking_pictures": ["upload"],
            "billed": ["create_reshape", "create_pre_process"],
        },
        "example_vendor": {
            "operations": ["count", "create_crop", "check_crop", "webhook"],
            "creating_tasks": ["create_crop"],
            "taking_pictures": ["count"],
            "billed": ["count", "create_crop"],
        },
    }
