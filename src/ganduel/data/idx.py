"""The IDX files in which MNIST and its relatives are published.

    bytes 0–1 zero, byte 2 the type (8 = unsigned byte), byte 3 the number of dimensions, then each dimension as a
    big-endian 32-bit integer, then the values in row-major order; the file may be gzipped

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from ganduel.errors import UserError


def find(folder: Path, name: str) -> Path:
    """The file of that name in the folder, plain or gzipped."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"{folder} has neither {name} nor {name}.gz. Point data.dir at the folder with the IDX files.")


def read(path: Path, md5: str | None = None) -> Tensor:
    """The uint8 tensor in an IDX file; with `md5`, that of the unzipped file must match.

    MD5 guards against damage, not malice: it is the checksum that is published for these files.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}). Fetch a fresh copy of the file.") from error
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise UserError(f"{path} is damaged: its checksum is not that of the published file. Fetch a fresh copy.")
    return parse(content, path)


def parse(content: bytes, path: Path) -> Tensor:
    """The tensor in an unzipped IDX file; the path is for error messages."""
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or len(content) < 4 + 4 * content[3]:
        raise UserError(f"{path} is not an IDX file of unsigned bytes: it begins with {content[:4].hex()}….")
    shape = struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]])
    values = content[4 + 4 * content[3] :]
    if len(values) != math.prod(shape):
        raise UserError(f"{path} holds {len(values)} bytes, not the {math.prod(shape)} of {shape}. Is it cut off?")
    if not values:
        return torch.empty(shape, dtype=torch.uint8)  # torch makes no tensor from an empty buffer
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).reshape(shape)
