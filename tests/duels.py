"""Parsed runs without a folder: only their final values matter."""

from pathlib import Path
from typing import Any

from golden import FD, FLOORS, config

from ganduel.compare.analysis import Report, analyse
from ganduel.compare.columns import to_columns
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import Run

SAT, NS = "saturating", "nonsaturating"


def a_run(
    loss: str,
    seed: int = 0,
    fd: float | None = None,
    k: int = 1,
    status: str = "finished",
    hash: str | None = "aaaa1111",
    device: str | None = None,
    **more: float,
) -> Run:
    """A run with FD and the metrics in `more`, with _ for the first /; without protocols if hash is None.

    Higher is better for all metrics but FD and KD; parzen_se has no direction.
    """
    metrics = {name.replace("_", "/", 1): value for name, value in more.items()} | ({} if fd is None else {FD: fd})
    floors = {f"{key}/floor": FLOORS.get(key, 0.0) for key in metrics}
    curves, last = to_columns([{"iteration": 500, "loss/g": 0.5 + seed, **metrics, **floors}])
    protocols: dict[str, Any] = {}
    for key in metrics if hash is not None else ():
        higher_is_better = None if key == "parzen/se" else not key.startswith(("fd/", "kd/"))
        protocols[key] = {"hash": hash, "higher_is_better": higher_is_better}
    folder = Path("/runs") / ",".join(map(str, (loss, k, seed, status) if device is None else (loss, k, seed, device)))
    return Run(folder, config(loss, seed, k), status, curves=curves, last=last, protocols=protocols, device=device)


def duel(first: dict[int, float], second: dict[int, float], **more: Any) -> list[Run]:
    """Runs of the non-saturating and the saturating form, given FD by seed."""
    levels = ((NS, first), (SAT, second))
    return [a_run(loss, seed, fd, **more) for loss, values in levels for seed, fd in values.items()]


def report(runs: list[Run], factor: str | None = None, metric: str | None = None) -> Report:
    return analyse(arrange(runs, factor), metric)
