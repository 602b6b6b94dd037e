"""Writes the site's pages to build/pages: the repository's own, in which a link to a source file leads to a page too.

    pip install -e ".[docs]" && python scripts/site_pages.py && zensical build --strict

The pages are README.md, those of docs/, and whatever these link to. A source file is shown as a page, and a ```math
block becomes MathML, which browsers draw without a script.
"""

import re
import shutil
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"
LINK = re.compile(r"\]\(([^)#:]+)(?=[)#])")  # to a file, not to an address
SOURCES = (".py", ".yaml")


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    for path in linked([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "docs" / "site.css"]):
        target = PAGES / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            target.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
        elif path.suffix in SOURCES:
            target.with_name(f"{path.name}.md").write_text(listing(path), encoding="utf-8")
        else:
            shutil.copy(path, target)


def linked(pages: list[Path]) -> set[Path]:
    """The pages, and all files that these or the pages among them link to."""
    reached: set[Path] = set()
    while pages:
        path = pages.pop()
        reached.add(path)
        if path.suffix == ".md":
            targets = {(path.parent / link).resolve() for link in LINK.findall(path.read_text(encoding="utf-8"))}
            pages += [target for target in targets - reached if target.is_file()]
    return reached


def page(text: str) -> str:
    """A page of the site."""
    text = LINK.sub(lambda link: link[0] + ".md" * link[1].endswith(SOURCES), text)
    return re.sub(r"(?ms)^```math\n(.*?)^```$", lambda block: convert(block[1], display="block"), text)


def listing(path: Path) -> str:
    """A source file as a page."""
    name = path.relative_to(ROOT).as_posix()
    return f"# {name}\n\n````{path.suffix[1:]}\n{path.read_text(encoding='utf-8')}````\n"


if __name__ == "__main__":
    main()
