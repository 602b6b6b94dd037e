"""Runs as they are once read, with no folder behind them: their final values are all that matters."""

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
    **more: float,
) -> Run:
    """A run with FD and the metrics in `more`, with _ for the first /; a hash of None: without protocols.

    More is better of all but FD and KD; of parzen_se neither.
    """
    metrics = {name.replace("_", "/", 1): value for name, value in more.items()} | ({} if fd is None else {FD: fd})
    floors = {f"{key}/floor": FLOORS.get(key, 0.0) for key in metrics}
    curves, last = to_columns([{"iteration": 500, "loss/g": 0.5 + seed, **metrics, **floors}])
    protocols: dict[str, Any] = {}
    for key in metrics if hash is not None else ():
        up = None if key == "parzen/se" else not key.startswith(("fd/", "kd/"))
        protocols[key] = {"hash": hash, "higher_is_better": up}
    folder = Path(f"/runs/{loss},{k},{seed},{status}")
    return Run(folder, config(loss, seed, k), status, curves=curves, last=last, protocols=protocols)


def duel(first: dict[int, float], second: dict[int, float], **more: Any) -> list[Run]:
    """FD by seed of the non-saturating form and of the saturating one."""
    sides = ((NS, first), (SAT, second))
    return [a_run(loss, seed, fd, **more) for loss, values in sides for seed, fd in values.items()]


def report(runs: list[Run], factor: str | None = None, metric: str | None = None) -> Report:
    return analyse(arrange(runs, factor), metric)
