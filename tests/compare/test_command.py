"""`ganduel compare` as a function: what it prints, what it writes, and when it ends."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from duels import NS, SAT
from golden import FD, make_run, make_sweep
from rich.console import Console

from ganduel.compare import command as module
from ganduel.compare.command import build_report, compare
from ganduel.errors import UserError

REFRESH = 'http-equiv="refresh"'


def printed(*paths: object, width: int = 300, **options: Any) -> str:
    console = Console(file=StringIO(), width=width)
    compare([str(path) for path in paths], console=console, **options)
    return console.file.getvalue()


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return make_sweep(tmp_path / "sweep", 2)


def test_tables_and_the_answer(sweep):
    text = printed(sweep)
    assert "means and 95% intervals over seeds" in text
    assert text.rstrip().endswith("six seeds could settle it.")


def test_a_page_and_the_answer(sweep, tmp_path):
    page = tmp_path / "new" / "duel.html"
    text = printed(sweep, out=page)
    html = page.read_text(encoding="utf-8")
    assert "Over 2 paired seeds" in text
    assert f"{page}: 4 runs, {page.stat().st_size / 1e6:.1f} MB" in text
    assert "means and" not in text
    assert REFRESH not in html
    assert "Over 2 paired seeds, nonsaturating ends at" in html
    assert [file.name for file in page.parent.iterdir()] == ["duel.html"]


def test_what_was_left_out_is_counted_beside_the_page(sweep, tmp_path):
    (sweep / "empty").mkdir()
    assert "duel.html: 4 runs, 1 left out, " in printed(sweep, out=tmp_path / "duel.html")
    assert f"left out: {sweep / 'empty'}: empty" in printed(sweep)


def test_json_and_nothing_else(sweep, tmp_path):
    data = json.loads(printed(sweep, as_json_text=True, width=40))
    assert (data["factor"], data["metrics"][0]) == ("loss", FD)
    assert [d["n"] for d in data["differences"]] == [2, 2]
    data = json.loads(printed(sweep, as_json_text=True, out=tmp_path / "duel.html"))
    assert data["levels"] == [NS, SAT]
    assert (tmp_path / "duel.html").exists()


def test_factor_and_metric_are_those_asked_for(tmp_path):
    for k in (1, 5):
        make_run(tmp_path / "r" / f"{k}", k=k)
    data = json.loads(printed(tmp_path / "r", as_json_text=True, factor="k", metric="recall"))
    assert (data["factor"], data["levels"], data["metrics"][0]) == ("k", ["k=1", "k=5"], "recall/mnist_cnn_10k")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": Path("duel.pdf")}, "-o duel.pdf is not a page. Give a file that ends in .html."),
        ({"out": Path("duel")}, "-o duel is not a page."),
        ({"out": Path("folder.html")}, "-o folder.html is not a page."),
        ({"watch": 30}, "--watch keeps a page up to date, every second or less often. Give one by -o duel.html."),
        ({"watch": 0, "out": Path("duel.html")}, "--watch keeps a page up to date, every second or less often."),
        (
            {"watch": 5, "out": Path("a.html"), "as_json_text": True},
            "--watch writes a page and nothing else. Leave out --json",
        ),
        (
            {"watch": 5, "out": Path("a.html"), "wandb": "me/x"},
            "--watch writes a page and nothing else. Leave out --json",
        ),
        ({"factor": "los"}, "--factor los is not in the runs' configs. Did you mean loss?"),
        ({"metric": "fdd"}, "--metric fdd is on no record."),
        ({"wandb": "ganduel"}, "--wandb ganduel is not ENTITY/PROJECT, such as --wandb me/ganduel."),
    ],
)
def test_mistakes_are_answered_in_one_line(sweep, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    Path("folder.html").mkdir()
    with pytest.raises(UserError) as error:
        printed(sweep, **options)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.html", "sweep"]


def test_folders_without_a_run_say_why(tmp_path):
    for name in "abcd":
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"there is no run to compare\. .*/a: empty; .*/b: empty; .*/c: empty$"):
        build_report([str(tmp_path)], None, None)


@pytest.mark.parametrize("name", ["[red]a.html", "[/b].html", "a [x] b.html"])
def test_a_page_may_have_brackets_in_its_name(sweep, tmp_path, name):
    assert f"{tmp_path / name}: 4 runs" in printed(sweep, out=tmp_path / name)


def test_json_stays_json_beside_a_workspace(sweep, monkeypatch, capsys):
    from ganduel.compare import workspace

    monkeypatch.setattr(workspace, "save_workspace", lambda report, place: f"https://wandb.ai/{place}?nw=[x]")
    json.loads(printed(sweep, as_json_text=True, wandb="me/ganduel"))
    assert capsys.readouterr().err == "W&B workspace: https://wandb.ai/me/ganduel?nw=[x]\n"
    assert "W&B workspace: https://wandb.ai/me/ganduel?nw=[x]\n" in printed(sweep, wandb="me/ganduel")


# ---- watching


@pytest.fixture
def nap(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """A function that replaces sleep by what happens in the meantime, one after the other, then Ctrl-C."""

    def replace(*happens: Callable[[], Any]) -> list[float]:
        left, slept = list(happens), []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(module.time, "sleep", sleep)
        return slept

    return replace


def finish(folder: Path) -> None:
    (folder / "summary.json").write_text('{"status": "finished", "reason": null}')


def test_watching_ends_when_all_runs_have_ended(sweep, tmp_path, nap):
    """Two looks find one run unfinished, the third none: the last page does not load itself again."""
    page = tmp_path / "duel.html"
    going = make_run(sweep / "going", seed=2, status=None)
    pages = []

    def first() -> None:
        pages.append(page.read_text(encoding="utf-8"))

    def second() -> None:
        pages.append(page.read_text(encoding="utf-8"))
        finish(going)

    slept = nap(first, second)
    text = printed(sweep, out=page, watch=7)
    assert slept == [7, 7]
    assert all(f'{REFRESH} content="7"' in html for html in pages)
    assert REFRESH not in page.read_text(encoding="utf-8")
    assert text.count(f"{page}: 5 runs, 1 unfinished") == 2
    assert f"{page}: 5 runs, " in text.splitlines()[-1]
    assert "stopped" not in text


def test_watching_runs_that_have_all_ended_writes_once(sweep, tmp_path, nap):
    slept = nap()
    printed(sweep, out=tmp_path / "duel.html", watch=7)
    assert slept == []
    assert REFRESH not in (tmp_path / "duel.html").read_text(encoding="utf-8")


def test_watching_waits_for_a_run_without_rows(sweep, tmp_path, nap):
    """It has begun, and that nothing is on record yet is no end."""
    begun = make_run(sweep / "begun", seed=2, rows=0, metrics={}, status=None)

    def fail() -> None:
        (begun / "summary.json").write_text('{"status": "failed", "reason": "no room"}')

    slept = nap(lambda: None, fail)
    text = printed(sweep, out=tmp_path / "duel.html", watch=7)
    assert slept == [7, 7]
    assert text.count("5 runs, 1 unfinished") == 2


def test_watching_waits_for_the_first_row(tmp_path, nap):
    """And for the folder itself; there is no page until there is a run."""
    page, folder = tmp_path / "duel.html", tmp_path / "runs"
    seen = []

    def appear() -> None:
        seen.append(page.exists())
        make_run(folder / "a", status=None)

    slept = nap(appear, lambda: finish(folder / "a"))
    text = printed(folder, out=page, watch=2)
    assert (seen, slept) == ([False], [2, 2])
    assert f"waiting: {folder} is neither a folder" in text
    assert page.exists()


def test_an_interrupt_leaves_a_page_that_rests(sweep, tmp_path, nap):
    make_run(sweep / "going", seed=2, status=None)
    nap(lambda: None)
    text = printed(sweep, out=tmp_path / "duel.html", watch=7)
    assert "stopped watching" in text
    assert "1 of 5 runs have not finished." in text
    assert REFRESH not in (tmp_path / "duel.html").read_text(encoding="utf-8")


def test_an_interrupt_before_there_is_a_run_leaves_nothing(tmp_path, nap):
    nap(lambda: None)
    text = printed(tmp_path / "none", out=tmp_path / "duel.html", watch=7)
    assert text.splitlines()[-1] == "stopped watching"
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_is_not_measured_yet_is_waited_for(tmp_path, nap):
    folder = make_run(tmp_path / "r" / "a", metrics={}, status=None)

    def measure() -> None:
        row = {"iteration": 500, FD: 3.0}
        (folder / "metrics.jsonl").write_text((folder / "metrics.jsonl").read_text() + json.dumps(row) + "\n")
        (folder / "protocols.jsonl").write_text(json.dumps({"metric": FD, "hash": "a"}) + "\n")
        finish(folder)

    nap(measure)
    text = printed(tmp_path / "r", out=tmp_path / "duel.html", watch=7, metric="fd")
    assert "waiting: --metric fd is on no record." in text
    assert f"ends at {FD} 3 over 1 run" in text
