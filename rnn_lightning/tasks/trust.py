"""What a checkpoint file is held to before anything in it is believed: it may be damaged, or made to do damage.

Torch reads plain data and tensors alone (weights_only), and each tensor is held to the bytes that the file has for it.
What is left: parts that grow when they are unpacked, functions that take memory for a number, hyper-parameters that ask
for a model of any size.
"""

from __future__ import annotations

import pickletools
import struct
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_FOLDER = 0x10
"""The mark of a folder among a zip file's attributes."""
_END, _END_64 = b"PK\5\6", b"PK\6\6"
_LONGEST_END = (1 << 16) + 128
"""Bytes that a zip file's end takes, at the most."""
_LARGEST_DIRECTORY = 1 << 26
"""Bytes of a zip file's table of contents: each of its lines takes some ten times as much memory."""
_LARGEST_PICKLE = 1 << 28
_MOST_VALUES = 100_000
"""Values that the hyper-parameters may have once they are written out: a few bytes can stand for billions."""
_HARMLESS = {
    *(
        "collections OrderedDict",
        "collections Counter",
        "torch Size",
        "torch device",
        "torch._utils _rebuild_tensor_v2",
    ),
    *("torch._utils _rebuild_parameter", "_codecs encode", "__builtin__ set", "builtins set"),
    *("__builtin__ complex", "builtins complex"),
}
"""What plain data and tensors are made with. Torch takes more for harmless: bytearray and the classes of tensors make
as many bytes as they are told."""


def damaged_part(path: Path) -> str | None:
    """The first part of a checkpoint that is not as it was written; None where all are.

    Torch does not look at the checksums: a weight that was changed on the disk would pass for a trained one.

    Raises:
        ValueError: the file is not one that torch writes.
    """
    if _directory_size(path) > _LARGEST_DIRECTORY:
        raise ValueError("its table of contents is too long")
    with zipfile.ZipFile(path) as file:
        parts = file.infolist()
        names = {part.filename for part in parts}
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts) or len(names) < len(parts):
            raise ValueError("torch compresses nothing and writes nothing twice")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise ValueError("it says that it has more in it than it has bytes")
        # Of a part that is marked as a folder torch reads nothing, and takes what is in the memory for the weights.
        folders = (part.filename for part in parts if part.external_attr & _FOLDER)
        damaged = file.testzip() or next(folders, None)
        if damaged is None:
            for name in names:
                if name.endswith("data.pkl"):
                    _check_pickle(file.read(name))
    return damaged


def _directory_size(path: Path) -> int:
    """Bytes of a zip file's table of contents, as its end says; what it says wrongly, zipfile finds out."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LONGEST_END))
        end = file.read()
    sizes = [0]
    if (place := end.rfind(_END)) >= 0 and len(end) >= place + 16:
        sizes += struct.unpack_from("<I", end, place + 12)
    if (place := end.rfind(_END_64)) >= 0 and len(end) >= place + 48:
        sizes = [*struct.unpack_from("<Q", end, place + 40), *(size for size in sizes if size != 0xFFFFFFFF)]
    return max(sizes)


def _check_pickle(content: bytes) -> None:
    if len(content) > _LARGEST_PICKLE:
        raise ValueError("it has too many values in it")
    for operation, argument, _ in pickletools.genops(content):
        if operation.name == "GLOBAL" and argument not in _HARMLESS and not _is_kind_of_tensor(str(argument)):
            raise ValueError(f"it asks for {argument}")


def _is_kind_of_tensor(name: str) -> bool:
    """Whether a name is that of a storage, which goes with a tensor and makes nothing itself, or of a dtype."""
    module, _, last = name.partition(" ")
    return module == "torch" and (last.endswith("Storage") or isinstance(getattr(torch, last, None), torch.dtype))


def is_plain(value: Any) -> bool:
    """Whether a value has an end, and not too many values in it."""
    left, found = [value], 0
    while left and found <= _MOST_VALUES:
        item = left.pop()
        found += 1
        if isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set):
            left += item
    return found <= _MOST_VALUES


def check_sizes(made: torch.nn.Module, weights: dict[str, Any]) -> None:
    """Holds the weights that a model wants to those that there are, before there is memory for the model.

    Args:
        made: the model on the device meta, which has shapes and no values.
        weights: the state dict of the checkpoint.

    Raises:
        ValueError: it wants more.
    """
    own = {name for name, _ in (*made.named_parameters(), *made.named_buffers())}
    wanted = _bytes([*made.parameters(), *made.buffers()])
    there = _bytes(value for name, value in weights.items() if name in own and isinstance(value, Tensor))
    if wanted > there:
        raise ValueError(f"its hyper-parameters ask for weights of {wanted:,} bytes, and it has {there:,} of them")


def check_learnt(hyper_parameters: dict[str, Any], words: int, labels: Sequence[Any]) -> None:
    """Holds what a model learnt from its data to its first and last layer.

    Args:
        hyper_parameters: those of the checkpoint.
        words: token ids that its text encoder gives; 0 where it has none.
        labels: names of its classes.

    Raises:
        ValueError: the layers are made for fewer words, or for more classes.
    """
    vocabulary, classes = hyper_parameters.get("vocab_size"), hyper_parameters.get("num_classes")
    if isinstance(vocabulary, int) and words > vocabulary:
        raise ValueError(f"its text encoder gives {words:,} token ids, and its embedding has {vocabulary:,}")
    if not all(isinstance(label, str) for label in labels) or (isinstance(classes, int) and len(labels) < classes):
        raise ValueError(f"it has names for {len(labels):,} classes, and its last layer has {classes}")


def _bytes(tensors: Iterable[Tensor]) -> int:
    """What tensors take; one that repeats its values, or another's, counts once."""
    return sum({tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}.values())
