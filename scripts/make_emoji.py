"""Draw the emoji of `data=emoji`, and write them where they are shipped.

    python scripts/make_emoji.py [--font NotoColorEmoji.ttf] [--list emoji-test.txt]

By default from the files of Debian's packages fonts-noto-color-emoji 2.042 and unicode-data 15.0.0, both of which are
needed. Each fully qualified emoji of Unicode's list, in its order, is one image: the font's bitmap of 136×128 pixels in
the middle of a white square, resized to 32×32 by Pillow's antialiased Lanczos filter. What is the same as an earlier
image (France and the Île Saint-Martin have one flag) is left out. The class is Unicode's group.

Every tenth kind of emoji, by a hash of its name, is held out. A kind is all that differs in skin tone, in gender and
in hair alone: nearly the same drawing is never on both sides. Kinds of more than 18 images, which are couples in all
pairs of skin tones, are trained on: one of them would be a quarter of what is held out. The result depends on nothing
but the two files, and on the zlib that compresses it.
"""

import argparse
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image

from ganduel.data.emoji import FILE, GROUPS

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
LIST = "/usr/share/unicode/emoji/emoji-test.txt"
SIDE = 32
HELD_OUT = 10  # one of so many kinds
LARGEST_KIND = 18  # images: 6 skin tones × 3 genders
VARIANT = re.compile(r".* skin tone|.* hair|bald|beard|person|man|woman")  # a part of a name that makes no other kind
PEOPLE = re.compile(r"\b(person|people|man|men|woman|women)\b ?")


def listed(path: Path) -> Iterator[tuple[list[int], str, str]]:
    """Code points, name and group of each fully qualified emoji."""
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# group: "):
            group = line.removeprefix("# group: ")
        elif match := re.match(r"([0-9A-F ]+?) *; fully-qualified *# \S+ E[\d.]+ (.+)", line):
            yield [int(point, 16) for point in match[1].split()], match[2], group


def kind(name: str) -> str:
    """What a name has in common with those of its variants: "man: dark skin tone, red hair" and "woman" are one."""
    base, *parts = re.split(": |, ", name)
    return ", ".join([PEOPLE.sub("", base), *(part for part in parts if not VARIANT.fullmatch(part))])


def held_out(kinds: Sequence[str]) -> np.ndarray:
    """Whether an image of each kind is held out."""
    counts = Counter(kinds)
    digests = (blake2b(kind.encode(), digest_size=8).digest() for kind in kinds)
    chosen = np.array([int.from_bytes(digest, "big") % HELD_OUT == 0 for digest in digests])
    return chosen & np.array([counts[kind] <= LARGEST_KIND for kind in kinds])


class Font:
    """The bitmaps of a font, by code points.

    Args:
        path: of the font.
    """

    def __init__(self, path: Path):
        font = TTFont(path)
        self.glyphs = font.getBestCmap()
        self.bitmaps = font["CBDT"].strikeData[0]
        lookups = [lookup for lookup in font["GSUB"].table.LookupList.Lookup if lookup.LookupType == 4]
        tables = [table.ligatures for lookup in lookups for table in lookup.SubTable]
        self.ligatures = {
            (first, *rest.Component): rest.LigGlyph
            for table in tables for first, ligatures in table.items() for rest in ligatures
        }  # fmt: skip

    def image(self, points: list[int]) -> Image.Image:
        """The emoji on a white square."""
        glyphs = tuple(self.glyphs[point] for point in points if point != 0xFE0F)  # "as an emoji", which all are
        glyph = glyphs[0] if len(glyphs) == 1 else self.ligatures[glyphs]
        bitmap = Image.open(io.BytesIO(self.bitmaps[glyph].imageData)).convert("RGBA")
        square = Image.new("RGBA", (max(bitmap.size),) * 2, "white")
        square.alpha_composite(bitmap, ((square.width - bitmap.width) // 2, (square.height - bitmap.height) // 2))
        return square.convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--font", type=Path, default=Path(FONT))
    parser.add_argument("--list", type=Path, default=Path(LIST))
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    font, rows = Font(options.font), {}
    for points, name, group in listed(options.list):
        small = font.image(points).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        rows.setdefault(small.tobytes(), (np.asarray(small).transpose(2, 0, 1), GROUPS.index(group), kind(name)))
    images, labels, kinds = zip(*rows.values(), strict=True)
    out = held_out(kinds)
    np.savez_compressed(options.out, images=np.stack(images), labels=np.array(labels, np.uint8), held_out=out)
    print(f"{options.out}: {len(out)} images, {out.sum()} held out, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
