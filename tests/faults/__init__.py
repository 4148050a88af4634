"""What can befall a training, injected: each test here is a row of the table in docs/faults.md."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
_HEADER = "| fault | how it is injected | what is seen | what is lost |\n|---|---|---|---|\n"
_TABLE = re.compile(re.escape(_HEADER) + r"(\|.*\n)*")

Test = Callable[..., Any]


class Fault(NamedTuple):
    """A row of the table.

    Attributes:
        what: what happens.
        injected: how the test makes it happen.
        seen: what there is to see; between backquotes what is printed, with ... in the place of what differs.
        lost: what of the work is gone.
    """

    what: str
    injected: str
    seen: str
    lost: str

    def row(self) -> str:
        """The row in Markdown."""
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in self) + " |\n"

    def check(self, printed: str) -> None:
        """Holds the words between backquotes in `seen` to be printed."""
        for words in re.findall(r"`([^`]+)`", self.seen):
            pattern = ".*".join(re.escape(part) for part in words.split("..."))
            assert re.search(pattern, printed), f"{words}\nis not in\n{printed}"


def fault(what: str, injected: str, seen: str, lost: str) -> Callable[[Test], Test]:
    """Makes a test a row of the table; its fixture `seen` holds what was printed against the row."""

    def mark(test: Test) -> Test:
        test.fault = Fault(what, injected, seen, lost)  # type: ignore[attr-defined]  # a function takes any attribute
        return test

    return mark


def page_with_table() -> str:
    """The page, with the table as the tests have it."""
    return _TABLE.sub(lambda _: _table(), PAGE.read_text("utf-8"))


def _table() -> str:
    """The rows of all tests, in the order of their files and within."""
    names = [f"{__name__}.{path.stem}" for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    tests = [test for name in names for test in vars(importlib.import_module(name)).values()]
    return _HEADER + "".join(test.fault.row() for test in tests if isinstance(getattr(test, "fault", None), Fault))
