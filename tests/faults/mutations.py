"""Changes to files, each decided by a seed: by the byte, by the word, and inside of what is packed or has checksums."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import re
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

NUMBERS = (0, 1, -1, 2, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -(2**63), 10**12)
ARMED = "armed_module.Thing"
"""A class of a module that leaves a mark when it is imported."""
WORDS = (
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\n",
        b"\r",
        b'"',
        b"'",
        b",",
        b"{",
        b"[",
        b"}",
        b"]",
        b":",
        b"- ",
        b"&a",
        b"*a",
    ),
    *(b"NaN", b"Infinity", b"-1e999", b"1e308", b"null", b"true", b"../../../../escaped", b"/etc/passwd", b"${HOME}"),
    *(b"os.system", ARMED.encode(), b"!!python/object/apply:os.system [touch was_run]", b"cos\nsystem\n(S'true'\ntR."),
    *(
        "\N{COMBINING ACUTE ACCENT}".encode(),
        "\N{RIGHT-TO-LEFT OVERRIDE}".encode(),
        b"\\ud800",
        b"[" * 2000,
        b"{" * 2000,
    ),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**6, 10**12, 2**63, 10**30, 0.5, -0.5, 1e308, math.inf, math.nan),
    *("", "x", "\0", "a" * 1000, "os.system", ARMED, "../../escaped", "http://localhost:9/x", [], {}, [[]], [1, 2]),
    *({"class_path": ARMED}, {"class_path": "os.system", "init_args": {"command": "touch was_run"}}, {"a": {"b": [1]}}),
)


def bytewise(content: bytes, random: Random, other: bytes) -> bytes:
    """One to four small changes; `other` is a file of the same kind, to take pieces from."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        place = random.randrange(len(changed) + 1)
        end = min(len(changed), place + random.choice((1, 2, 8, 64, 512, 4096)))
        kind = random.randrange(11)
        if kind <= 1 and place < len(changed):
            changed[place] ^= 1 << random.randrange(8)
        elif kind == 2:
            changed[place:end] = random.randbytes(end - place)
        elif kind == 3:
            del changed[place:end]
        elif kind == 4:
            changed[place:place] = changed[place:end] * random.choice((1, 1, 2, 100))
        elif kind == 5:
            del changed[place:]
        elif kind == 6:
            start = random.randrange(len(other) + 1)
            changed[place:end] = other[start : start + random.choice((1, 16, 256, 4096))]
        elif kind == 7:
            width, order = random.choice("bhiq"), random.choice("<>")
            number = random.choice(NUMBERS) & (256 ** struct.calcsize(width) - 1)
            changed[place : place + struct.calcsize(width)] = struct.pack(order + width.upper(), number)
        elif kind == 8:
            changed[place:place] = random.choice(WORDS)
        elif kind == 9:
            found = list(re.finditer(rb"\d+(\.\d+)?", bytes(changed[:100_000])))
            if found:
                changed[slice(*random.choice(found).span())] = str(random.choice(NUMBERS)).encode()
        else:
            changed[place:end] = bytes(end - place)
    return bytes(changed)


def in_tree(value: Any, random: Random) -> Any:
    """Nested tables and lists with one of their values replaced, taken away, doubled, renamed or put deeper."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        kind = random.randrange(8)
        if kind == 0:
            return {name: item for name, item in value.items() if name != key}
        if kind == 1:
            return {**value, random.choice((f"{key}x", "class_path", "_instantiator", "__path__", "")): value[key]}
        return {**value, key: in_tree(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.8:
        index = random.randrange(len(value))
        new: list[Any] = random.choice(
            ([], [value[index]] * 2, [in_tree(value[index], random)], [random.choice(VALUES)])
        )
        return [*value[:index], *new, *value[index + 1 :]]
    if random.random() < 0.05:
        for _ in range(random.choice((5, 50, 400))):
            value = [value] if random.random() < 0.5 else {"a": value}
        return value
    return random.choice(VALUES)


def yaml_tree(content: bytes, random: Random, other: bytes) -> bytes:
    """A config whose content is changed and still YAML."""
    return yaml.safe_dump(in_tree(yaml.safe_load(content), random), default_flow_style=None).encode()


def json_tree(content: bytes, random: Random, other: bytes) -> bytes:
    """JSON that is changed and still JSON."""
    return json.dumps(in_tree(json.loads(content), random)).encode()


def json_lines(content: bytes, random: Random, other: bytes) -> bytes:
    """JSON lines of which one is changed, and still JSON."""
    lines = content.splitlines()
    index = random.randrange(len(lines))
    lines[index] = json.dumps(in_tree(json.loads(lines[index]), random)).encode()
    return b"\n".join(lines) + b"\n"


def cells(content: bytes, random: Random, other: bytes) -> bytes:
    """A table of text with one cell changed, and its quotation marks right."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    row = random.choice(rows)
    if row:
        row[random.randrange(len(row))] = str(random.choice((*VALUES, *NUMBERS)))
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


Mutation = Callable[[bytes, Random, bytes], bytes]
_PACKERS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gz": (gzip.decompress, lambda content: gzip.compress(content, 1)),
    "bz2": (bz2.decompress, lambda content: bz2.compress(content, 1)),
    "xz": (lzma.decompress, lambda content: lzma.compress(content, preset=0)),
}


def packed(ending: str, inner: Mutation) -> Mutation:
    """What is compressed, changed inside; or as it is where it is not compressed."""

    def mutate(content: bytes, random: Random, other: bytes) -> bytes:
        if ending not in _PACKERS:
            return inner(content, random, other)
        unpack, pack = _PACKERS[ending]
        return pack(inner(unpack(content), random, unpack(other)))

    return mutate


def tar_headers(content: bytes, random: Random, other: bytes) -> bytes:
    """An archive with one field of a header changed, and the header's checksum right."""
    changed = bytearray(content)
    starts = [start for start in range(0, len(changed) - 511, 512) if changed[start + 257 : start + 262] == b"ustar"]
    start = random.choice(starts)
    name, first, size = random.choice(
        (
            *(("name", 0, 100), ("size", 124, 12), ("size", 124, 12), ("type", 156, 1), ("type", 156, 1)),
            ("link", 157, 100),
        )
    )
    if name == "size":
        number = random.choice(NUMBERS)
        octal = b"%011o\0" % (abs(number) & (8**11 - 1))
        field = random.choice((octal, b"\x80" + abs(number).to_bytes(11, "big"), b"\xff" * 12, random.randbytes(12)))
    elif name == "type":
        field = random.choice(b"01234567gxLKSVMDN\0").to_bytes()
    else:
        field = random.choice((b"../../escaped", b"/escaped", b"aclImdb/train/pos/999_9.txt", b"\xff" * size, b""))
        field = field.ljust(size, b"\0")[:size]
    changed[start + first : start + first + size] = field
    changed[start + 148 : start + 156] = b" " * 8
    changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + 512])
    return bytes(changed)


def tar_members(content: bytes, random: Random, other: bytes) -> bytes:
    """An archive with another member in it: a link, a device, a pipe, or one with a header of its own kind."""
    out = io.BytesIO(content)
    with tarfile.open(fileobj=out, mode="a", format=random.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))) as archive:
        names = (
            "aclImdb/train/pos/77_9.txt",
            "../../train/neg/78_1.txt",
            "/train/pos/79_9.txt",
            "n" * 5000,
            "train/x\n",
        )
        member = tarfile.TarInfo(random.choice(names))
        member.type = random.choice(b"01234567S").to_bytes()
        member.linkname = random.choice(("", "/etc/passwd", "../../../etc/passwd", "aclImdb/train/pos/0_9.txt"))
        member.pax_headers = random.choice(
            (
                {"comment": "x" * random.choice((10, 100_000))},
                {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.size": str(10**12)},
                {"GNU.sparse.map": "0,1,5,9" * random.choice((1, 1000)), "GNU.sparse.size": "99"},
                {"size": str(random.choice(NUMBERS))},
                {"path": "train/pos/5_5.txt"},
            )
        )
        text = random.choice((b"", b"more text", b"1000000\n", random.randbytes(600)))
        member.size = len(text) if member.isreg() else 0
        archive.addfile(member, io.BytesIO(text))
    return out.getvalue()


def zip_parts(content: bytes, random: Random, other: bytes) -> bytes:
    """A checkpoint with one part of it changed, and all checksums right."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        parts = [(info.filename, source.read(info)) for info in source.infolist()]
    favourite = [index for index, (name, _) in enumerate(parts) if name.endswith("data.pkl")]
    index = random.choice((*favourite, *favourite, random.randrange(len(parts))))
    name, part = parts[index]
    changed = bytewise(part, random, part)
    parts[index : index + 1] = random.choice(
        ([(name, changed)], [(name, changed)], [(name, changed)], [], [(name, part), (name, changed)])
    )
    out = io.BytesIO()
    packing = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", packing) as target:
        warnings.simplefilter("ignore")  # a name twice
        for name, part in parts:
            target.writestr(name, part)
    return out.getvalue()


def checkpoint_tree(content: bytes, random: Random, other: bytes) -> bytes:
    """A checkpoint with one of its values changed, written as torch writes it."""
    import torch

    checkpoint = torch.load(io.BytesIO(content), weights_only=True)
    place = random.randrange(4)
    if place == 0:
        checkpoint["hyper_parameters"] = in_tree(checkpoint["hyper_parameters"], random)
    elif place == 1:
        checkpoint["rnn_lightning"] = in_tree(checkpoint["rnn_lightning"], random)
    elif place == 2:
        state = json.loads(bytes(checkpoint["state_dict"]["_extra_state"].numpy()))
        text = bytearray(json.dumps(in_tree(state, random)), "utf-8")
        checkpoint["state_dict"]["_extra_state"] = torch.frombuffer(text, dtype=torch.uint8)
    else:
        key = random.choice([*checkpoint["state_dict"], *checkpoint])
        table = checkpoint["state_dict"] if key in checkpoint["state_dict"] else checkpoint
        tensors = (torch.zeros(0), torch.ones(1).expand(10**5, 10**5), torch.full((3, 4), math.nan), torch.tensor(3))
        table[key] = random.choice((*VALUES, *tensors))
    out = io.BytesIO()
    torch.save(checkpoint, out)
    return out.getvalue()


def checksummed(files: dict[str, bytes], name: str, random: Random) -> dict[str, bytes]:
    """The files of a cache folder with one of them changed, and the checksums right."""
    changed = {**files, name: bytewise(files[name], random, files[name])}
    if name != "meta.json" and random.random() < 0.7:
        checks = {file: zlib.crc32(changed[file]) for file in json.loads(files["meta.json"])}
        changed["meta.json"] = json.dumps(checks).encode()
    return changed
