"""The page as a file: complete in itself, text kept text, written whole or not at all; no browser here."""

import json
import os
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from golden import FD, config, make_run, make_sweep

from ganduel.compare.analysis import analyse
from ganduel.compare.page import write_page
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import read_all
from ganduel.errors import UserError

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'


class Elements(HTMLParser):
    """All that a browser would see of a page: elements with their attributes, and the text in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self.inside, []).append(data)

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def write(runs: Path, page: Path, refresh: int | None = None) -> str:
    """The page of the runs in a folder, written and read again."""
    parsed, aside = read_all([runs])
    write_page(analyse(arrange(parsed)), aside, page, refresh)
    return page.read_text(encoding="utf-8")


def data(page: str) -> dict:
    """The JSON in a page."""
    return json.loads(page.partition('<script id="data" type="application/json">')[2].partition("</script>")[0])


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sweep(tmp_path_factory.mktemp("runs"))


def test_nothing_is_fetched(sweep: Path, tmp_path: Path):
    """No element has an address but the icon, which is in it, and links to sections; the policy forbids all others."""
    page = write(sweep, tmp_path / "duel.html")
    elements = Elements(page)
    addresses = {
        value for _, own in elements.found for key in ("src", "href", "data", "srcset") if (value := own.get(key))
    }
    assert {address for address in addresses if not address.startswith("#")} == {"data:,"}
    assert "url(" not in "".join(elements.text["style"])
    assert "@import" not in "".join(elements.text["style"])
    policy = next(own["content"] for own in elements.attributes("meta") if own.get("http-equiv", "").endswith("Policy"))
    assert policy.startswith("default-src 'none';")
    assert not any(word in policy for word in ("http", "*", "'self'", "connect-src"))


def test_size(sweep: Path, tmp_path: Path):
    """Ten runs take little beside plotly: the page can be sent by mail."""
    write(sweep, tmp_path / "duel.html")
    plotly = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    assert (tmp_path / "duel.html").stat().st_size - len(plotly) < 200_000


def test_text_stays_text(tmp_path: Path):
    """Of names, reasons and versions no element comes about, and the page's data are what they were."""
    run_info = {**config(SCRIPT)["run"], "versions": {"torch": IMAGE}, "git": "{{script}}"}
    make_run(tmp_path / "runs" / IMAGE, SCRIPT, status="failed", reason=IMAGE, run=run_info)
    make_run(tmp_path / "runs" / SCRIPT, "saturating", reason="</script><!--")
    page = write(tmp_path / "runs", tmp_path / "duel.html")
    elements = Elements(page)
    assert len(elements.attributes("script")) == 3
    assert elements.attributes("img") == []
    assert not any(key.startswith("on") for _, own in elements.found for key in own)
    page_data = data(page)
    assert {run["level"] for run in page_data["runs"]} == {SCRIPT, "saturating"}
    assert {run["reason"] for run in page_data["runs"]} == {IMAGE, "</script><!--"}
    assert ["torch " + IMAGE, 1] in page_data["provenance"]["versions"]
    assert ["{{script}}", 1] in page_data["provenance"]["commits"]
    assert SCRIPT in "".join(elements.text["title"])
    assert any(IMAGE in words for words in elements.text["p"])


def test_links_lead_from_the_page_to_the_runs(sweep: Path, tmp_path: Path):
    """Relative, and quoted: a folder's name may hold what an address may not."""
    make_run(tmp_path / "runs" / "50% #1?")
    page_data = data(write(tmp_path / "runs", tmp_path / "pages" / "duel.html"))
    assert [run["href"] for run in page_data["runs"]] == ["./../runs/50%25%20%231%3F/"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_a_name_that_is_no_text(tmp_path: Path):
    """Bytes that are no UTF-8 are shown as something else; the link has them as they are."""
    make_run(tmp_path / "runs" / os.fsdecode(b"caf\xe9"))
    (run,) = data(write(tmp_path / "runs", tmp_path / "duel.html"))["runs"]
    assert (run["name"], run["href"]) == ("caf?", "./runs/caf%E9/")


def test_loads_itself_again_only_when_asked_to(sweep: Path, tmp_path: Path):
    """By its script, or without one by an element."""
    assert 'http-equiv="refresh"' not in (once := write(sweep, tmp_path / "duel.html"))
    assert '<noscript><meta http-equiv="refresh" content="30">' in (again := write(sweep, tmp_path / "duel.html", 30))
    assert [data(page)["refresh"] for page in (once, again)] == [None, 30]


def test_folders_on_the_way_are_made(sweep: Path, tmp_path: Path):
    write(sweep, tmp_path / "a" / "b" / "duel.html")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["duel.html"]


def test_whole_or_not_at_all(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where writing fails the old page stays, and nothing else; the user reads why."""
    path = tmp_path / "duel.html"
    path.write_text("old", encoding="utf-8")

    def full(self: Path, text: str, **_: str) -> None:
        self.write_bytes(text[:1000].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=r"--out .*duel\.html cannot be written: No space left on device\."):
        write(sweep, path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("duel.html", b"old")]


def test_a_place_that_is_no_folder(sweep: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write(sweep, tmp_path / "file" / "duel.html")


def test_numbers_that_are_none(tmp_path: Path):
    """JSON has neither NaN nor infinity: they are null."""
    make_run(tmp_path / "runs" / "a", metrics={FD: float("nan")})
    make_run(tmp_path / "runs" / "b", "nonsaturating", metrics={FD: float("inf")})
    assert [run["finals"][FD] for run in data(write(tmp_path / "runs", tmp_path / "duel.html"))["runs"]] == [None, None]
