"""One self-contained HTML file: the comparison's data, plotly's JavaScript and ours; it opens with no network.

What comes from runs is in the page as JSON inside a script element of another type, which no browser runs, with "<"
written as an escape so that nothing in it ends the element; the sentences of the answer are escaped. A content security
policy forbids requests.
"""

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from ganduel.atomic import output_file
from ganduel.compare.analysis import Report
from ganduel.compare.bundle import bundle
from ganduel.compare.reading import Aside

ASSETS = files("ganduel.compare") / "assets"


def write_page(report: Report, aside: Sequence[Aside], path: Path, refresh: int | None = None) -> None:
    """Write the page, whole or not at all.

    Args:
        report: the comparison.
        aside: what was left out of it.
        path: the file.
        refresh: seconds after which the page loads itself again; None: never.
    """
    data = {**bundle(report, aside, path), "refresh": refresh}
    parts = {
        "title": escape(f"ganduel – {data['title']}"),
        # By a script where there are any: the element would forget what the reader chose, which is in the address.
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
        part.write_text(text, encoding="utf-8", errors="replace")  # a folder's name may be no text


def asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
