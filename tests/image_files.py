"""Images on disk of one colour, and what the data make of them."""

import struct
import zlib

from PIL import Image

from ganduel.data.images import Images

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def plain(colour=RED, size=(4, 4), mode="RGB"):
    return Image.new(mode, size, colour)


def only(folder, **options):
    """The one image of a folder, as nested lists (channels, height, width)."""
    data = Images(dir=str(folder), **{"size": 4, "held_out": 0.0, **options})
    assert data.size == 1
    return data.samples[0].tolist()


def uniform(*channels, size=4):
    return [[[value] * size] * size for value in channels]


def png(width, height, depth, colour, rows, transparent=None):
    """A PNG file by the format's definition, for what Pillow does not write.

    `transparent` is the value, or the three values, that a tRNS chunk names.
    """

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (b"" if transparent is None else chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\x00" + row for row in rows)))
        + chunk(b"IEND", b"")
    )
