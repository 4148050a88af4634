"""What the faults' tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Holds what was printed against the test's row of the table."""
    check: Callable[[str], None] = request.function.fault.check
    return check
