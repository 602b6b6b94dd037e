"""Pictures on the page are the runs' files, each once, and together no larger than the limit."""

import base64
from pathlib import Path

import pytest
from duels import NS, SAT
from golden import config, make_run, make_sweep
from PIL import Image

from ganduel.compare import pictures as module
from ganduel.compare.pictures import PICTURES, pictures
from ganduel.compare.reading import Run, read_all


def decoded(image: str) -> bytes:
    head, _, text = image.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(text)


def gallery(folder: Path, seeds: int, iterations: int, size: int, real: int = 10) -> list[Run]:
    """Runs of both forms with pictures that all differ, of a size in bytes."""
    runs = []
    for seed in range(seeds):
        for loss in (SAT, NS):
            run_folder = folder / f"{loss}{seed}"
            run_folder.mkdir(parents=True)
            for n in range(iterations):
                (run_folder / f"{n}.png").write_bytes(f"{loss} {seed} {n} ".encode().ljust(size, b"."))
            (run_folder / "real.png").write_bytes(f"real {loss} {seed}".encode().ljust(real, b"."))
            grids = {10 * n: run_folder / f"{n}.png" for n in range(iterations)}
            runs.append(
                Run(
                    run_folder, config(loss, seed), "finished", pictures=grids, stills={"real": run_folder / "real.png"}
                )
            )
    return runs


def test_pictures_are_the_files_bytes_each_once(tmp_path):
    runs = read_all([make_sweep(tmp_path / "s", 2)])[0]
    images, gallery_of = pictures(runs)
    for run, shown in zip(runs, gallery_of, strict=True):
        assert [n for n, _ in shown["grids"]] == [0, 500]
        files = {n: run.folder / "samples" / f"iteration_{n:08d}.png" for n in (0, 500)}
        assert all(decoded(images[image]) == files[n].read_bytes() for n, image in shown["grids"])
        assert decoded(images[shown["stills"]["real"]]) == files[0].with_name("real.png").read_bytes()
    assert len(images) == 1 + 1 + 2, "real and first are the same for all, the last for both forms"


@pytest.mark.parametrize(
    ("seeds", "iterations", "size", "real"),
    [(2, 5, 1000, 10), (2, 200, 40_000, 10), (20, 8, 50_000, 10), (3, 30, 400_000, 10), (1, 1, 6_000_000, 10),
     (20, 2, 1000, 200_000)],
)  # fmt: skip
def test_pictures_stay_within_their_size(tmp_path, monkeypatch, seeds, iterations, size, real):
    """A hundredth of everything. Those of the first seeds, first and last iterations stay longest."""
    monkeypatch.setattr(module, "PICTURES", PICTURES // 100)
    runs = gallery(tmp_path, seeds, iterations, size // 100, max(1, real // 100))
    images, entries = pictures(runs)
    total = sum(len(decoded(image)) for image in images)
    assert total <= PICTURES // 100
    whole = sum(path.stat().st_size for path in tmp_path.rglob("*.png"))
    if whole <= PICTURES // 100:
        assert all(len(entry["grids"]) == iterations for entry in entries)
    elif 2 * (2 * size + real) < PICTURES:
        assert total > PICTURES // 1000, "far too few are left"
        for entry in entries[:2]:
            assert {entry["grids"][0][0], entry["grids"][-1][0]} == {0, 10 * (iterations - 1)}
    for run, entry in zip(runs, entries, strict=True):
        for n, image in entry["grids"]:
            assert decoded(images[image]) == run.pictures[n].read_bytes()
    used = {image for entry in entries for _, image in entry["grids"]}
    used |= {image for entry in entries for image in entry["stills"].values()}
    assert used == set(range(len(images)))


def test_pictures_that_are_gone_are_passed_over(tmp_path):
    runs = gallery(tmp_path, 1, 3, 10)
    runs[0].pictures[10].unlink()
    _, gallery_of = pictures(runs)
    assert [n for n, _ in gallery_of[0]["grids"]] == [0, 20]
    assert [n for n, _ in gallery_of[1]["grids"]] == [0, 10, 20]


def test_pictures_beside_the_grids_are_embedded_by_name(tmp_path):
    folder = make_run(tmp_path / "run")
    Image.new("L", (5, 5)).save(folder / "samples" / "memorisation.png")
    Image.new("L", (5, 5)).save(folder / "samples" / "other.png")
    images, (entry,) = pictures(read_all([folder])[0])
    assert set(entry["stills"]) == {"real", "memorisation"}
    assert decoded(images[entry["stills"]["memorisation"]]) == (folder / "samples" / "memorisation.png").read_bytes()
