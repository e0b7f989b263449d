from __future__ import annotations

import threading

import pytest

from emulator.parallel import has_second_thread, later, second_thread


def test_without_a_second_thread_a_function_runs_when_its_result_is_needed() -> None:
    ran = []
    result = later(lambda: ran.append(threading.get_ident()))
    assert not ran
    result()
    assert ran == [threading.get_ident()]


def test_a_second_thread_exists_only_in_its_context() -> None:
    assert not has_second_thread()
    with second_thread():
        assert has_second_thread()
    assert not has_second_thread()


def test_in_the_context_functions_run_one_after_another_in_one_other_thread() -> None:
    begin, order = threading.Event(), []

    def work(number: int) -> int:
        assert begin.wait(10)
        order.append(number)
        return threading.get_ident()

    with second_thread():
        results = [later(lambda number=number: work(number)) for number in range(3)]  # type: ignore[misc]
        assert not order
        begin.set()
        threads = [result() for result in reversed(results)]
    assert order == [0, 1, 2]
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


def test_the_result_raises_the_exception_of_the_function() -> None:
    def fail() -> None:
        raise ValueError("as in the calling thread")

    with second_thread():
        result = later(fail)
        with pytest.raises(ValueError, match="as in the calling thread"):
            result()
    with pytest.raises(ValueError, match="as in the calling thread"):
        later(fail)()


def test_an_exception_in_the_context_waits_for_what_runs_and_cancels_the_rest() -> None:
    begun, begin, ended, rest = threading.Event(), threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert begin.wait(10)
        ended.set()

    def fail() -> None:
        with second_thread():
            later(work)
            later(rest.set)
            assert begun.wait(10)
            threading.Timer(0.05, begin.set).start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ended.is_set()
    with second_thread():
        later(int)()  # the thread is free again, and has not run the rest
    assert not rest.is_set()


def test_only_the_thread_that_has_entered_the_context_uses_the_second_thread() -> None:
    found: list[threading.Thread] = []
    with second_thread():
        other = threading.Thread(target=lambda: found.append(later(threading.current_thread)()))
        other.start()
        other.join()
        assert later(threading.current_thread)() not in {other, threading.current_thread()}
    assert found == [other]
