"""One self-contained HTML file: the comparison's data, plotly's JavaScript and ours; it opens with no network.

The runs' data are in the page as JSON, in a script element of a type that no browser executes, with "<" escaped so that
nothing in it ends the element; the sentences of the answer are escaped too. A content security policy forbids requests.
"""

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from ganduel.atomic import output_file
from ganduel.compare.analysis import Report
from ganduel.compare.bundle import bundle
from ganduel.compare.reading import SkippedFolder

ASSETS = files("ganduel.compare") / "assets"


def write_page(report: Report, skipped: Sequence[SkippedFolder], path: Path, refresh: int | None = None) -> None:
    """Write the page atomically.

    Args:
        report: the comparison.
        skipped: folders that were left out of it.
        path: the file.
        refresh: seconds after which the page reloads itself; None: never.
    """
    data = {**bundle(report, skipped, path), "refresh": refresh}
    parts = {
        "title": escape(f"ganduel – {data['title']}"),
        # With JavaScript the script reloads the page: this element would drop the settings, which are in the URL.
        "refresh": "" if refresh is None else f'<noscript><meta http-equiv="refresh" content="{refresh}"></noscript>',
        "style": asset("page.css"),
        "verdicts": "\n".join(f"<p>{escape(line)}</p>" for line in data["verdicts"]),
        "data": json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "plotly": (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8"),
        "script": asset("page.js"),
    }
    first, *rest = asset("page.html").split("{{")
    text = first + "".join(parts[name] + after for name, _, after in (piece.partition("}}") for piece in rest))
    with output_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="replace")  # a folder's name may not be valid UTF-8


def asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
