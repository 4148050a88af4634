"""`rnn-lightning export`: a trained model as files that run without torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rnn_lightning.callbacks.journal import say
from rnn_lightning.cli.chosen import Chosen, choose
from rnn_lightning.cli.errors import ExportError, UserError
from rnn_lightning.cli.words import refuse_names, taken

if TYPE_CHECKING:
    from rnn_lightning.export.files import Export

_HEADINGS = ("file", "size", "differs from torch by", "on random sequences x steps")


def export(options: list[str]) -> int:
    """Writes the files into a folder, once each of them has done what the model does.

    Args:
        options: command-line words.

    Returns:
        The exit code.
    """
    words = taken("export", options)
    refuse_names("export", words)
    _need_onnx()
    from rnn_lightning.export.files import exported
    from rnn_lightning.export.networks import exportable
    from rnn_lightning.export.trial import FailedError

    chosen, _ = choose("export", words)
    folder = _folder(words.one("--output"), chosen)
    model = exportable(chosen.model)
    say(f"Exporting {chosen.in_words}")
    try:
        found = exported(model, int8=words.has("--int8"))
    except FailedError as error:
        raise ExportError(f"nothing is exported: {error}") from error
    _write(folder, found.files)
    _show(found, folder)
    example = '"A text."' if model.encoder is not None else "sequence.npy"
    say(f"Next: python {folder / 'example.py'} {example}")
    return 0


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401  # only whether they are there
        import onnxruntime  # noqa: F401  # as above
    except ModuleNotFoundError as error:
        raise UserError("export wants onnx and onnxruntime: pip install 'rnn-lightning[export]'") from error


def _folder(output: str | None, chosen: Chosen) -> Path:
    if output is None and chosen.run is None:
        raise UserError(f"{chosen.path} stands outside a run folder: say where the files are to go, --output FOLDER")
    folder = Path(output) if output is not None else Path(str(chosen.run)) / "export"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; --output wants a folder")
    return folder


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Writes all files or none; those of an earlier export go, and other files stay."""
    from rnn_lightning.export.files import FILES

    with _beside(folder) as unfinished:
        for name, content in files.items():
            (unfinished / name).write_bytes(content)
        folder.mkdir(exist_ok=True)
        for name in FILES:
            if name in files:
                os.replace(unfinished / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder beside this one, gone in the end."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield unfinished
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _show(found: Export, folder: Path) -> None:
    rows = [_HEADINGS]
    for name, content in found.files.items():
        trial = found.trials.get(name)
        rows.append((name, _size(len(content)), *((f"{trial.difference:.0e}", trial.shapes) if trial else ("", ""))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    say(f"Written to {folder}")
    for name, size, difference, shapes in rows:
        say(f"  {name:{widths[0]}}  {size:>{widths[1]}}  {difference:>{widths[2]}}  {shapes}".rstrip())
    if found.no_steps is not None:
        say(f"  No file for single steps: {found.no_steps}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
