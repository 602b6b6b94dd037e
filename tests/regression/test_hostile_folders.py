"""Folders that someone else has filled: a comparison takes the runs that are sound, and shows no other file."""

import json
import os
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from golden import make_run, make_sweep
from PIL import UnidentifiedImageError

from ganduel.compare.bundle import bundle
from ganduel.compare.command import build_report
from ganduel.compare.reading import MAX_PIXELS, Run, read, read_all
from ganduel.errors import UserError
from ganduel.image_grid import animate
from ganduel.population.training import existing
from ganduel.tracking.files import POPULATION

SECRET = b"root:x:0:0:what nobody else should see"


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A read that blocks or never ends fails the test instead of the suite."""

    def stop(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def link_out(path: Path) -> None:
    target = path.parents[2] / "secret"
    target.write_bytes(SECRET)
    path.symlink_to(target)


def aliases(path: Path) -> None:
    """Nine levels of ten: a tree of 10⁹ nodes."""
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    path.write_text("\n".join(["run: {}", "seed: 0", "l0: &l0 [x]", *levels]))


def recursive(path: Path) -> None:
    path.write_text("run: {}\nseed: 0\na: &a [*a]")


def deep(path: Path) -> None:
    """Few enough levels for the parser, and too many for what then walks over the config."""
    path.write_text("run: {}\nseed: 0\na: " + "[" * 400 + "]" * 400)


def large(path: Path) -> None:
    path.write_text("run: {}\nseed: 0\na: " + "x" * 2**20)


def huge(path: Path) -> None:
    """A terabyte of nothing, which takes no room on the disk."""
    path.touch()
    os.truncate(path, 2**40)


def zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


CASES = [
    ("config.yaml", link_out, "config.yaml is a link out of the folder"),
    ("config.yaml", os.mkfifo, "config.yaml is not a regular file"),
    ("config.yaml", zero, "config.yaml is a link out of the folder"),
    ("config.yaml", aliases, "it has aliases"),
    ("config.yaml", recursive, "it has aliases"),
    ("config.yaml", deep, "it is nested more than 50 deep"),
    ("config.yaml", large, "config.yaml is too large"),
    ("metrics.jsonl", os.mkfifo, "metrics.jsonl is not a regular file"),
    ("metrics.jsonl", zero, "metrics.jsonl is a link out of the folder"),
    ("metrics.jsonl", link_out, "metrics.jsonl is a link out of the folder"),
    ("metrics.jsonl", huge, "metrics.jsonl is too large"),
    ("histograms.jsonl", os.mkfifo, "histograms.jsonl is not a regular file"),
    ("protocols.jsonl", zero, "protocols.jsonl is a link out of the folder"),
]


@pytest.mark.parametrize(("name", "damage", "reason"), CASES)
def test_a_file_that_must_not_be_read_costs_its_run_alone(
    tmp_path: Path, name: str, damage: Callable[[Path], None], reason: str
) -> None:
    """A user compares a downloaded sweep: one folder hung the program, and the page of the others was never made."""
    make_sweep(tmp_path / "sweep", 1)
    path = make_run(tmp_path / "sweep" / "bad", seed=7) / name
    path.unlink()
    damage(path)
    runs, skipped = read_all([tmp_path / "sweep"])
    assert len(runs) == 2
    assert [entry.folder.name for entry in skipped] == ["bad"]
    assert reason in skipped[0].reason


@pytest.mark.parametrize("name", ["summary.json", "loss_form.json"])
def test_json_that_must_not_be_read_is_left_out(tmp_path: Path, name: str) -> None:
    folder = make_run(tmp_path / "a")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    run = read(folder)
    assert isinstance(run, Run)
    assert (
        (run.loss_form is None) if name == "loss_form.json" else "summary.json is not a regular file" in str(run.note)
    )


def eps(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/marker) (w) file closefile")


def bomb(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", MAX_PIXELS, 2))


@pytest.mark.parametrize(
    ("damage", "note"),
    [
        (link_out, "is a link out of the folder"),
        (os.mkfifo, "is not a regular file"),
        (zero, "is a link out of the folder"),
        (eps, "is not a PNG"),
        (bomb, "has too many pixels"),
    ],
)
@pytest.mark.parametrize("name", ["iteration_00000500.png", "real.png"])
def test_the_page_shows_only_pictures_of_the_run(
    tmp_path: Path, name: str, damage: Callable[[Path], None], note: str
) -> None:
    """A link named as a grid put /etc/passwd into the page, which its owner then published."""
    sweep = make_sweep(tmp_path / "sweep", 1)
    path = sweep / "loss=saturating,seed=0" / "samples" / name
    path.unlink()
    damage(path)
    data = bundle(*build_report([str(sweep)], None, None), tmp_path / "page.html")
    assert {run["note"] for run in data["runs"]} == {f"{name} {note}", None}
    assert len(data["images"]) == 3, "those of the other run"
    assert all(image.startswith("data:image/png;base64,iVBORw0KGgo") for image in data["images"])


def test_a_folder_of_pictures_elsewhere_shows_none(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "samples").rename(tmp_path / "elsewhere")
    (folder / "samples").symlink_to(tmp_path / "elsewhere")
    run = read(folder)
    assert isinstance(run, Run)
    assert (run.pictures, run.stills, run.note) == ({}, {}, "iteration_00000000.png is a link out of the folder")


def test_a_search_for_runs_ends(tmp_path: Path) -> None:
    """Links to / and to a sweep's parent, and folders in each other, which took hours or ended in a traceback."""
    sweep = make_sweep(tmp_path / "sweep", 1)
    (sweep / "root").symlink_to("/")
    sweep.joinpath(*["d"] * 40).mkdir(parents=True)
    runs, skipped = read_all([sweep])
    assert len(runs) == 2
    assert [(entry.folder.name, entry.reason) for entry in skipped] == [
        ("d", "no run: it has no config.yaml"),
        ("root", "no run: it has no config.yaml"),
    ]


def test_a_link_to_a_run_is_that_run(tmp_path: Path) -> None:
    """Runs are often gathered by links, and kept elsewhere."""
    run = make_run(tmp_path / "elsewhere" / "a")
    (tmp_path / "gathered").mkdir()
    (tmp_path / "gathered" / "b").symlink_to(run)
    (found,), skipped = read_all([tmp_path / "gathered"])
    assert (found.name, len(found.pictures), found.note, skipped) == ("b", 2, None, [])


@pytest.mark.parametrize("name", ["../victim", "/tmp/victim", "..", ".", "linked", "a/../../victim"])
def test_a_population_has_its_members_in_its_folder(tmp_path: Path, name: str) -> None:
    """Resuming a downloaded population would have trained on in a run of the user's own, and overwritten it."""
    folder = tmp_path / "population"
    folder.mkdir()
    make_run(tmp_path / "victim")
    (folder / "linked").symlink_to(tmp_path / "victim")
    (folder / POPULATION).write_text(json.dumps({"members": ["seed=0", name], "status": "stopped"}))
    with pytest.raises(UserError, match=rf"names the member {name!r}, which is no folder in"):
        existing(folder)


def test_frames_of_an_animation_are_pngs(tmp_path: Path) -> None:
    """Pillow would take a .png for the EPS that it is, and start Ghostscript on it."""
    eps(tmp_path / "frame.png")
    with pytest.raises(UnidentifiedImageError):
        animate([tmp_path / "frame.png"], tmp_path / "x.gif")
    assert not (tmp_path / "x.gif").exists()
