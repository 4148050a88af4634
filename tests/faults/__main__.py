"""`python -m tests.faults` writes the table of docs/faults.md."""

from tests.faults import PAGE, page_with_table

PAGE.write_text(page_with_table(), "utf-8")
