"""An image file as an array of one shape: decoded, put on a background, cropped or padded, and resized.

decoded    and rotated by the EXIF entry; the first of several frames
channels   1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; without alpha, what is transparent lies on a background
fit        "crop": the largest rectangle of the shape, in the middle; "pad": the whole image, between bars of the
           background, or transparent ones. Either is resized by an antialiased Lanczos filter.
bits       8: bytes; 16: grey in 65,536 steps as floats in [−1, 1], since Pillow reads colours in 8 bits only
"""

from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageColor, ImageOps
from PIL.PngImagePlugin import PngImageFile

from ganduel.data.image_files import FORMATS
from ganduel.errors import UserError, printable

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's, by the number of channels
LARGE = 2**25  # pixels: images that have more take up to gigabytes each, and are decoded one at a time
ONE_AT_A_TIME = Lock()

Fit = Literal["crop", "pad"]


@dataclass(frozen=True)
class PixelFormat:
    """What all images are made into.

    Attributes:
        size: height and width, in pixels.
        channels: 1 to 4.
        fit: how an image of other proportions gets the shape.
        background: the colour below what is transparent, and of the bars of `pad`, as Pillow reads it.
        bits: of each value.
    """

    size: tuple[int, int]
    channels: int = 3
    fit: Fit = "crop"
    background: str = "white"
    bits: int = 8

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.channels, *self.size)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8 if self.bits == 8 else np.float32)

    def array(self, image: Image.Image) -> np.ndarray:
        """The image as an array (channels, height, width)."""
        image = grey_of_16_bits(image, self.background) if self.bits == 16 else self.convert(image)
        pixels = np.asarray(self.resize(image)).reshape(*self.size, self.channels).transpose(2, 0, 1)
        return pixels if self.bits == 8 else np.clip(pixels / 32767.5 - 1, -1, 1)  # the filter overshoots at edges

    def convert(self, image: Image.Image) -> Image.Image:
        return to_mode(image, MODES[self.channels], self.background)

    def resize(self, image: Image.Image) -> Image.Image:
        height, width = self.size
        if self.fit == "crop":
            return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
        return ImageOps.pad(image, (width, height), Image.Resampling.LANCZOS, bar_colour(image.mode, self.background))


def read(file: Path | BytesIO, form: PixelFormat) -> np.ndarray | str:
    """The image in a file as an array, or in a few words the reason why it cannot be read."""
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        with Image.open(file, formats=formats) as image, ONE_AT_A_TIME if is_large(image) else nullcontext():
            scale_transparency(image)
            ImageOps.exif_transpose(image, in_place=True)
            return form.array(image)
    except Image.DecompressionBombError as error:
        reason = f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, which may be an attack"
        name = printable(file) if isinstance(file, Path) else "An image"
        raise UserError(f"{name} is too large: {reason}. Make it smaller, or take it away.") from error
    except Image.UnidentifiedImageError:
        return "not a known image format"
    except Exception as error:  # decoders raise errors of any type
        return (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0]


def is_large(image: Image.Image) -> bool:
    return image.width * image.height > LARGE


def scale_transparency(image: Image.Image) -> None:
    """Scale a PNG's transparent value to 8 bits, as Pillow scales its pixels when it reads them; not of 16-bit grey."""
    value = image.info.get("transparency")
    if value is None or not isinstance(image, PngImageFile):
        return
    rawmode = image.tile[0].args
    if rawmode in ("L;2", "L;4"):
        image.info["transparency"] = value * (85 if rawmode == "L;2" else 17)
    elif rawmode == "RGB;16B":
        image.info["transparency"] = tuple(channel >> 8 for channel in value)


def to_mode(image: Image.Image, mode: str, background: str) -> Image.Image:
    """The image in 8 bits per value; in a mode without alpha, on the background where it is transparent."""
    if image.mode == "F":
        raise ValueError("floating-point values, whose range is unknown")
    if image.mode.startswith("I"):  # Pillow would clip these at 255
        values, transparent = values_of_16_bits(image)
        grey = Image.fromarray(((values + 128) // 257).astype(np.uint8))
        image = Image.merge("LA", (grey, Image.fromarray(np.where(transparent, 0, 255).astype(np.uint8))))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if not mode.endswith("A"):
            image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    return image if image.mode == mode else image.convert(mode)


def grey_of_16_bits(image: Image.Image, background: str) -> Image.Image:
    """The image in grey from 0 to 65535, as floats."""
    if image.mode.startswith("I"):
        values, transparent = values_of_16_bits(image)
        values = np.where(transparent, 257 * bar_colour("L", background), values)
    else:
        values = 257 * np.asarray(to_mode(image, "L", background)).astype(np.int64)
    return Image.fromarray(values.astype(np.float32))


def values_of_16_bits(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """The values of an image of integers, and where they are transparent."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("values beyond 16 bits")
    return values, values == image.info.get("transparency")


def bar_colour(mode: str, background: str) -> Any:
    """The background as a value of a mode of Pillow's; in one with alpha it is transparent."""
    if mode == "F":
        return 257.0 * bar_colour("L", background)
    colour = ImageColor.getcolor(background, mode)
    return (*colour[:-1], 0) if isinstance(colour, tuple) and mode.endswith("A") else colour
