"""The page says what the tests hold."""

from __future__ import annotations

from tests.faults import PAGE, page_with_table


def test_the_table_is_the_one_of_the_tests() -> None:
    assert page_with_table() == PAGE.read_text("utf-8"), "python -m tests.faults writes it"
