"""The mark, and the settings of the ini file."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pytester_runs import WEBHOOK, run

from emulator.backends.queue.pool import WorkerPool
from emulator.server import Listening, running_server
from emulator.settings import Settings
from face_api_emulator.client.models import Costs
from face_api_emulator.pytest_plugin.marks import Conditions

pytest_plugins = ["pytester"]


def test_a_sealed_run_names_the_host_also_if_the_code_ignores_the_error(
    pytester: pytest.Pytester, server: Listening
) -> None:
    pytester.makeini("[pytest]\nface_emulator_sealed = true")
    pytester.makepyfile(
        """
        import contextlib, socket, pytest

        def test_leaves():
            with contextlib.suppress(OSError):
                socket.create_connection(("192.0.2.1", 443))

        @pytest.mark.face_emulator(allowed=["192.0.2.0/24"])
        def test_may_leave():
            with contextlib.suppress(OSError):
                socket.create_connection(("192.0.2.1", 443), timeout=0.01)

        @pytest.mark.face_emulator(sealed=False)
        def test_is_open():
            with contextlib.suppress(OSError):
                socket.create_connection(("192.0.2.1", 443), timeout=0.01)

        def test_stays(face_emulator):
            assert face_emulator.health().status == "ok"
        """
    )
    result = run(pytester, server)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["the test is sealed, but tried to reach 192.0.2.1:443 at *.py:* in test_leaves"]
    )


def test_limits_of_the_mark_fail_a_test_that_passes(pytester: pytest.Pytester, workers: WorkerPool) -> None:
    pytester.makepyfile(
        WEBHOOK
        + """
import pytest

@pytest.mark.face_emulator(max_units=0)
def test_units(face_emulator):
    reshape(face_emulator)

@pytest.mark.face_emulator(max_cost="0.05 USD")
def test_money(face_emulator):
    reshape(face_emulator)

@pytest.mark.face_emulator(max_units=1, max_cost="0.10 USD", warnings_are_errors=True)
def test_within(face_emulator):
    reshape(face_emulator)

@pytest.mark.face_emulator(warnings_are_errors=True)
def test_warning(face_emulator):
    httpx.post(face_emulator.base_url + "/s2s/v2.0/file/face-reshape", json={}, headers=face_emulator.headers)
"""
    )
    prices = {"create_reshape": {"amount": "0.10", "currency": "USD"}}
    with running_server(Settings(vendors={"perfectcorp": {"prices": prices}}), workers=workers) as server:
        result = run(pytester, server)
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "the calls cost 1 units, but the test may cost only 0",
            "the calls cost 0.10 USD, but the test may cost only 0.05 USD",
            "call *, POST /s2s/v2.0/file/face-reshape: deprecated-path: *",
        ]
    )


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("color=1", "*: the mark face_emulator accepts only the arguments redirect, sealed, allowed, *"),
        ("1", "*the mark face_emulator takes only keyword arguments"),
        ("max_cost='ten'", "*max_cost must look like '0.10 USD', not 'ten'"),
    ],
)
def test_a_wrong_mark_is_reported(
    pytester: pytest.Pytester, server: Listening, mark: str, reason: str
) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.face_emulator({mark})\ndef test_it(): pass")
    result = run(pytester, server)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([reason])


def marked(pytester: pytest.Pytester, name: str, limits: Sequence[object]) -> list[pytest.Item]:
    """Return a test for each limit."""
    tests = (
        f"@pytest.mark.face_emulator({name}={limit!r})\ndef test_{number}(): pass\n"
        for number, limit in enumerate(limits)
    )
    return pytester.getitems("import pytest\n" + "".join(tests))


def test_an_amount_of_another_form_is_refused(pytester: pytest.Pytester) -> None:
    """Otherwise a limit could never fail."""
    limits = [
        *("0.10", "0.10 usd", "0.10  USD", " 0.10 USD", "0.10 USD ", "0.10 USD\n", "USD 0.10", "NaN USD"),
        *("Infinity USD", "-1 USD", "1e3 USD", ".1 USD", "0.10 DOLLARS", "", 0.1, 1, True),
    ]
    for item in marked(pytester, "max_cost", limits):
        with pytest.raises(pytest.UsageError, match=r"max_cost must look like '0\.10 USD', not "):
            Conditions.of(item)


def test_a_number_of_units_of_another_type_is_refused(pytester: pytest.Pytester) -> None:
    for item in marked(pytester, "max_units", ["1", 0.5, True, [1]]):
        with pytest.raises(pytest.UsageError, match="max_units must be a whole number, not "):
            Conditions.of(item)


@pytest.mark.parametrize(
    ("totals", "reasons"),
    [
        ({}, []),
        ({"USD": "0.10"}, []),
        ({"USD": "0.11"}, ["the calls cost 0.11 USD, but the test may cost only 0.10 USD"]),
        ({"EUR": "0.01"}, ["the calls cost 0.01 EUR, but max_cost is in USD"]),
        ({"EUR": "0"}, []),
        (
            {"USD": "9", "EUR": "0.01"},
            [
                "the calls cost 9 USD, but the test may cost only 0.10 USD",
                "the calls cost 0.01 EUR, but max_cost is in USD",
            ],
        ),
    ],
)
def test_a_limit_counts_every_currency(totals: dict[str, str], reasons: list[str]) -> None:
    costs = Costs(operations=[], totals=totals, unpriced=[])
    assert Conditions(max_cost="0.10 USD").broken([], costs) == reasons


def test_the_closest_mark_wins_for_each_argument(pytester: pytest.Pytester) -> None:
    items = pytester.getitems(
        """
        import pytest

        pytestmark = pytest.mark.face_emulator(max_units=1, sealed=True)

        @pytest.mark.face_emulator(max_units=2)
        def test_it(): pass
        """
    )
    assert Conditions.of(items[0]) == Conditions(max_units=2, sealed=True)


def test_warnings_are_errors_also_without_a_fixture(pytester: pytest.Pytester, server: Listening) -> None:
    pytester.makepyfile(
        """
        import httpx, pytest

        @pytest.fixture
        def face_emulator_credential():
            return "sk-warned"

        @pytest.mark.face_emulator(warnings_are_errors=True)
        def test_old_path(face_emulator_server):
            url = face_emulator_server.base_url + "/s2s/v2.0/file/face-reshape"
            httpx.post(url, json={}, headers={"Authorization": "Bearer sk-warned"})
        """
    )
    result = run(pytester, server)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["call *, POST /s2s/v2.0/file/face-reshape: deprecated-path: *"])


def test_warnings_as_errors_need_the_journal(pytester: pytest.Pytester, workers: WorkerPool) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.face_emulator(warnings_are_errors=True)
        def test_it(face_emulator): pass
        """
    )
    with running_server(Settings(journal_calls=0), workers=workers) as server:
        result = run(pytester, server)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["warnings_are_errors needs the journal, but FACE_EMULATOR_JOURNAL_CALLS is 0"]
    )
