"""Tables in files, read row by row: CSV, TSV, JSON lines, each also compressed by gzip, and Parquet."""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

from rnn_lightning.registry import did_you_mean
from rnn_lightning.regular import check_regular

Cell = str | float | None
"""What stands in a table: text as it is, None where there is nothing. Only Parquet has numbers that are not text."""

_ENDINGS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}
_LONGEST = 1 << 24
"""Characters of a row; the csv module refuses more than 131,072 in a field unless it is told."""
_GROWTH, _SMALL = 200, 1 << 30
"""How many times as long a file may become that gzip compressed, and the length that it may have in any case."""
_AT_ONCE = 8192
"""Rows of a Parquet file that are in memory."""
_ROWS_A_BYTE, _FEW_ROWS = 100, 10_000_000
"""How many rows a Parquet file may have for each of its bytes, and in any case."""
_JSON_LINES = 'JSON lines have an object in each, such as {"text": "...", "label": "..."}'


def is_table(path: Path) -> bool:
    """Whether a file's ending is one that tables have."""
    return _kind(path) is not None


def place(path: Path, line: int) -> str:
    """Where a row stands, for error texts; line 0 stands for the whole file."""
    return f"{path}, {'row' if _kind(path) == 'parquet' else 'line'} {line}" if line else str(path)


def columns(path: Path) -> list[str]:
    """The names of the columns; those of JSON lines are the first row's.

    Raises:
        ValueError: the file cannot be read, is none of these kinds, or has no row.
    """
    kind = _kind(path)
    if kind == "parquet":
        return list(_parquet_file(path).schema_arrow.names)
    if kind is None:
        hint = (
            "a folder is wanted, or a file that ends in" if path.exists() else "it does not exist, nor does it end in"
        )
        raise ValueError(f"{path}: {hint} {', '.join(_ENDINGS)}, the text ones also in .gz")
    first = next(_json_rows(path) if kind == "json" else _csv_rows(path), None)
    if first is None:
        raise ValueError(f"{path} is empty")
    return [name.strip() for name in first[1]]


def rows(path: Path, names: Sequence[str]) -> Iterator[tuple[int, list[Cell]]]:
    """Each row's line, counted from 1, and what stands in these columns.

    Raises:
        ValueError: as in `columns`, or there is no such column or two of them, or a row is damaged.
    """
    known = columns(path)
    for name in names:
        if name not in known:
            raise ValueError(f"{path} has no column '{name}'; it has {', '.join(known)}{did_you_mean(name, known)}")
        if known.count(name) > 1:
            raise ValueError(f"{path} has two columns called '{name}'")
    kind = _kind(path)
    if kind == "parquet":
        yield from _parquet_cells(path, names)
    elif kind == "json":
        for line, content in _json_rows(path):
            yield line, [_plain(content.get(name), path, line, name) for name in names]
    else:
        places = [known.index(name) for name in names]
        records = _csv_rows(path)
        next(records)
        for line, record in records:
            if len(record) != len(known):
                raise ValueError(
                    f"{place(path, line)}: there {_are(len(record), 'field')} where the header has {len(known)}"
                )
            yield line, [record[column] for column in places]


def number(cell: Cell, path: Path, line: int, name: str) -> float:
    """The number in a cell.

    Raises:
        ValueError: it is none, or not a finite one.
    """
    if cell is None or cell == "":
        raise ValueError(f"{place(path, line)}: there is no number in the column '{name}'")
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        comma = "; decimals are wanted with a point" if isinstance(cell, str) and "," in cell else ""
        raise ValueError(f"{place(path, line)}: {_shown(cell)} in the column '{name}' is not a finite number{comma}")
    return value


def numbers(cells: Sequence[Cell], names: Sequence[str], path: Path, line: int) -> list[float]:
    """The numbers in cells, as `number` takes each of them, but faster."""
    try:
        values = [float(cell) for cell in cells]  # type: ignore[arg-type]  # None is told below
        if all(map(math.isfinite, values)):
            return values
    except (TypeError, ValueError):
        pass
    return [number(cell, path, line, name) for cell, name in zip(cells, names, strict=True)]


def is_number(cell: Cell) -> bool:
    """Whether a cell holds a finite number."""
    try:
        return cell is not None and math.isfinite(float(cell))
    except ValueError:
        return False


def lines(path: Path) -> Iterator[str]:
    """The lines of a text file, with their ends.

    Raises:
        ValueError: it cannot be read, or is not UTF-8 text.
    """
    check_regular(path)
    with clear_errors(path), _opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        left = max(_SMALL, _GROWTH * path.stat().st_size)
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST + 1), ""), 1):
            _check_length(path, number, len(line))
            left -= len(line)
            if left < 0:
                raise ValueError(f"{path} becomes more than {_GROWTH} times as long when it is unpacked")
            if "\0" in line:
                raise ValueError(f"{place(path, number)}: there is a zero byte, which UTF-8 text does not have")
            yield line


def _check_length(path: Path, line: int, length: int) -> None:
    if length > _LONGEST:
        raise ValueError(f"{place(path, line)}: this row has more than {_LONGEST:,} characters")


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Tells what is wrong with a file in a line."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{place(path, _undecodable(path))}: this is not UTF-8 text") from error
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is not compressed by gzip, or damaged or cut off") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise ValueError(f"{path} takes more memory than there is") from error


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    zipped = name.endswith(".gz")
    kind = _ENDINGS.get(Path(name.removesuffix(".gz")).suffix)
    return None if zipped and kind == "parquet" else kind


def _opened(path: Path, mode: str, **options: Any) -> IO[Any]:
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    file: IO[Any] = opener(path, mode, **options)
    return file


def _undecodable(path: Path) -> int:
    """The first line that is not UTF-8."""
    number = 1
    # What comes after it may be damaged in another way.
    with suppress(OSError, EOFError, zlib.error), _opened(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return number


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows; empty lines are none."""
    text = lines(path)
    header = next(text, "")
    is_tsv = path.name.lower().removesuffix(".gz").endswith(".tsv")
    separator = "\t" if is_tsv else next((mark for mark in ",;\t" if mark in header), ",")
    csv.field_size_limit(_LONGEST)
    end = length = 0

    def watched() -> Iterator[str]:
        nonlocal length
        for line in chain([header], text):
            length += len(line)  # a row may have many lines
            _check_length(path, end + 1, length)
            yield line

    reader = csv.reader(watched(), delimiter=separator, strict=True)
    try:
        for record in reader:
            length = 0
            if record:
                yield end + 1, record
            end = reader.line_num
    except csv.Error as error:
        said = "a quotation mark is never closed" if "unexpected end" in str(error) else str(error)
        raise ValueError(f"{place(path, end + 1)}: {said}") from error


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(lines(path), 1):
        if text.isspace():
            continue
        try:
            # Numbers stay as they are written.
            content = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (json.JSONDecodeError, RecursionError) as error:
            said = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "it is too deep"
            raise ValueError(f"{place(path, line)}: this is not JSON ({said}); {_JSON_LINES}") from error
        if not isinstance(content, dict):
            raise ValueError(f"{place(path, line)}: this is not an object; {_JSON_LINES}")
        yield line, content


def _parquet_file(path: Path) -> Any:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ModuleNotFoundError as error:
        raise ValueError("Parquet files need pyarrow: pip install 'rnn-lightning[parquet]'") from error
    check_regular(path)
    with clear_errors(path):
        try:
            file = parquet.ParquetFile(path)
        except ArrowInvalid as error:
            raise ValueError(f"{path} is not a Parquet file, or damaged") from error
        rows, most = file.metadata.num_rows, max(_FEW_ROWS, _ROWS_A_BYTE * path.stat().st_size)
    if rows > most:
        raise ValueError(f"{path} says that it has {rows:,} rows, which is too many for its size")
    return file


def _parquet_cells(path: Path, names: Sequence[str]) -> Iterator[tuple[int, list[Cell]]]:
    line = 0
    with _parquet_file(path) as file:
        batches = file.iter_batches(batch_size=_AT_ONCE, columns=list(names))
        while rows := _next_rows(path, batches, names):
            for cells in rows:
                line += 1
                yield line, [_plain(cell, path, line, name) for cell, name in zip(cells, names, strict=True)]


def _next_rows(path: Path, batches: Iterator[Any], names: Sequence[str]) -> list[tuple[Any, ...]]:
    """The next rows; none where there are no more."""
    with clear_errors(path):
        try:
            batch = next((batch for batch in batches if len(batch)), None)
            return [] if batch is None else list(zip(*(batch.column(name).to_pylist() for name in names), strict=True))
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file makes of itself
            raise ValueError(f"{path} is damaged") from error


def _plain(value: Any, path: Path, line: int, name: str) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, dict | list | bytes):
        raise ValueError(f"{place(path, line)}: there is neither text nor a number in '{name}'")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise ValueError(f"{place(path, line)}: there is half of a character in '{name}' ({half})") from error
    return text


def _shown(cell: Cell) -> str:
    text = str(cell)
    return f"'{text}'" if len(text) <= 40 else f"'{text[:39]}…'"


def _are(count: int, what: str) -> str:
    return f"is 1 {what}" if count == 1 else f"are {count} {what}s"
