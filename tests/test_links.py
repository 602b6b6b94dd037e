"""Links between the Markdown files lead to a file, and to a heading of it where they name one."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]


@cache
def anchors(page: Path) -> set[str]:
    """Those of a page's headings: in lower case, without punctuation, with hyphens; a repeated one has a number."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    seen, names = Counter(), set()
    for heading in re.findall(r"(?m)^#+ (.*)$", text):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    assert dead_links(page) == []


def test_a_dead_link_is_seen(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title: its γ\n[a](#a-title-its-γ) [b](#none) [c](none.md) [d](page.md#none) [e](https://example.org)"
    )
    assert dead_links(page) == ["#none", "none.md", "page.md#none"]


def test_every_page_is_in_the_navigation():
    navigation = re.findall(r"(?m)^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(navigation) == sorted(["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
