"""The image files below a folder: which are taken, and in which order.

taken    every suffix of FORMATS, in the order of the names, except for hidden files; links are followed, but not
         to a folder that they lie in, and each file is taken once
others   are counted by suffix
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from ganduel.errors import printable

# Pillow's formats that it decodes itself. EPS is a program, which it has Ghostscript run; BUFR, GRIB, HDF5 and WMF need
# a program that is registered for them; of MPEG it knows the size alone.
FORMATS = ("AVIF", "BLP", "BMP", "CUR", "DCX", "DDS", "DIB", "FITS", "FLI", "FTEX", "GBR", "GIF", "ICNS", "ICO", "IM",
           "IPTC", "JPEG", "JPEG2000", "MPO", "MSP", "PCD", "PCX", "PIXAR", "PNG", "PPM", "PSD", "QOI", "SGI", "SUN",
           "TGA", "TIFF", "WEBP", "XBM", "XPM")  # fmt: skip


def find(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The image files below a folder in the order of their names, each once; and how many others there are, by kind."""
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    paths, taken, others = list[Path](), set[str](), Counter[str]()
    for path, real in sorted(walk(folder, lambda _: others.update(["folders that cannot be read"]))):
        suffix = printable(path.suffix.lower())
        if suffix not in suffixes:
            others[suffix or "without suffix"] += 1
        elif real in taken:
            others["links to others of these"] += 1
        elif not os.path.isfile(real):
            others[f"{suffix} that are no files"] += 1
        else:
            taken.add(real)
            paths.append(path)
    return paths, others


def walk(folder: Path, onerror: Callable[[OSError], None]) -> Iterator[tuple[Path, str]]:
    """The files below a folder with their real paths, except for hidden ones.

    Links to folders are followed, but not to one that they lie in; a folder that several lead to is walked once.
    """
    walked = set[str]()
    for path, folders, names in os.walk(folder, onerror=onerror, followlinks=True):
        here = os.path.realpath(path)
        down = [name for name in folders if not Path(here).is_relative_to(os.path.realpath(os.path.join(path, name)))]
        folders[:] = [] if here in walked else sorted(name for name in down if not name.startswith("."))
        for name in [] if here in walked else names:
            if not name.startswith("."):
                is_link = os.path.islink(os.path.join(path, name))
                yield Path(path, name), os.path.realpath(os.path.join(path, name)) if is_link else f"{here}/{name}"
        walked.add(here)
