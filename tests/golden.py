"""Run folders as train.py writes them, small and written by hand: nothing is trained, and every value is known."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

FD, RECALL = "fd/mnist_cnn_10k", "recall/mnist_cnn_10k"
FLOORS = {FD: 2.0, RECALL: 0.9}
CLASSES = {
    "saturating": "ganduel.loss.saturating.Saturating",
    "nonsaturating": "ganduel.loss.nonsaturating.NonSaturating",
}


def config(loss: str = "saturating", seed: int = 0, k: int = 1, **more: Any) -> dict[str, Any]:
    """A resolved config; `more` replaces top-level keys."""
    return {
        "run": {
            "id": f"{loss[:3]}{k}{seed}",
            "overrides": [f"loss={loss}", f"seed={seed}", f"k={k}"],
            "choices": {"loss": loss, "penalty": [], "penalty_g": [], "augment": "none", "model": "mlp",
                        "data": "mnist", "experiment": None},
            "created": "2026-01-31T12:00:00+00:00",
            "git": "0123456789",
            "versions": {"python": "3.11.7", "torch": "2.13.0"},
            "machine": {"platform": "Linux", "cpu": "some", "threads": 1, "gpus": []},
        },
        "seed": seed,
        "k": k,
        "batch_size": 64,
        "trainer": {"max_steps": 500, "accelerator": "cpu", "devices": 1, "num_nodes": 1},
        "engine": "auto",
        "penalty": {},
        "penalty_g": {},
        "augment": {"_target_": "ganduel.augment.none.NoAugment"},
        "loss": {"_target_": CLASSES.get(loss, f"lab.{loss}")},
        "optimizer": {"generator": {"_target_": "torch.optim.Adam", "lr": 0.001, "betas": [0.5, 0.999]}},
        "tracking": None,
        **more,
    }  # fmt: skip


def row(iteration: int, fake: float, log_odds: bool = True) -> dict[str, float]:
    """A row of statistics and saturation in which D(G(z)) is `fake` for every sample.

    Without log_odds a row of a loss such as Wasserstein's, whose logits are not log-odds: there is no D(x) in it.
    """
    if not log_odds:
        logit = math.log(fake / (1 - fake))
        return {
            "iteration": iteration, "images_seen": 64 * iteration, "seconds": iteration / 50,
            "loss/d": 2 * logit, "loss/g": -logit, "loss/penalty_d": 0.1, "logit/real": -logit, "logit/fake": logit,
            "logit/real_std": 0.0, "logit/fake_std": 0.0, "grad/norm_d": 1.0, "grad/norm_g": fake,
        }  # fmt: skip
    return {
        "iteration": iteration, "images_seen": 64 * iteration, "seconds": iteration / 50,
        "loss/d": -math.log(1 - fake), "loss/g": math.log(1 - fake), "loss/penalty_d": 0.0,
        "d/real": 1 - fake, "d/fake": fake, "d/fake_g": fake, "d/accuracy_real": 0.7, "d/accuracy_fake": 0.8,
        "grad/norm_d": 1.0, "grad/norm_g": fake, "saturation/slope_saturating": fake,
        "saturation/slope_nonsaturating": 1 - fake, "saturation/ratio": fake / (1 - fake),
    }  # fmt: skip


def make_run(
    folder: Path,
    loss: str = "saturating",
    seed: int = 0,
    k: int = 1,
    metrics: dict[str, float] | None = None,
    status: str | None = "finished",
    reason: str | None = None,
    rows: int = 11,
    hash: str = "aaaa1111",
    device: str | None = "cpu",
    log_odds: bool = True,
    **more: Any,
) -> Path:
    """Write a run's folder: rows at 1, 50, 100, …; `metrics` at the end; grids at the first and the last row.

    Loss, seed, k and `more` are keys of its config. Metrics are final values, by default {FD: 40 + seed, RECALL: 0.5},
    and their protocol has the hash. Status, reason and device are in summary.json; with a status of None there is none.
    Without log_odds the rows are those of another loss than cross-entropy, as of `row`.
    """
    metrics = {FD: 40.0 + seed, RECALL: 0.5} if metrics is None else metrics
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        yaml.safe_dump(config(loss, seed, k, **more), sort_keys=False), encoding="utf-8"
    )
    iterations = [1, *(50 * n for n in range(1, rows))][:rows]
    level = 0.02 if loss == "saturating" else 0.4
    lines: list[dict[str, Any]] = [row(n, level + 0.01 * seed, log_odds) for n in iterations]
    last = iterations[-1] if iterations else 0
    if metrics:
        floors = {f"{key}/floor": FLOORS.get(key, 0.0) for key in metrics}
        lines.append({"iteration": last, "images_seen": 64 * last, **metrics, **floors})
        protocols = [{"iteration": last, "metric": key, "hash": hash, "higher_is_better": key != FD} for key in metrics]
        write_lines(folder / "protocols.jsonl", protocols)
    write_lines(folder / "metrics.jsonl", lines)
    write_lines(folder / "histograms.jsonl", [counts(n, level, log_odds) for n in iterations])
    (folder / "loss_form.json").write_text(json.dumps(form(loss)), encoding="utf-8")
    if status is not None:
        summary = {"status": status, "reason": reason, "iteration": last, "seconds": last / 50, "peak_memory": {}}
        summary |= {} if device is None else {"device": device}
        (folder / "summary.json").write_text(json.dumps({**summary, "metrics": {}}), encoding="utf-8")
    (folder / "samples").mkdir()
    for name, shade in {"real": 250, "iteration_00000000": 10, f"iteration_{last:08d}": 100 + seed}.items():
        Image.fromarray(np.full((16, 16), shade, dtype=np.uint8)).save(folder / "samples" / f"{name}.png")
    return folder


def counts(iteration: int, level: float, log_odds: bool = True) -> dict[str, Any]:
    """64 samples in the bin of D = level and of its logit; without log_odds there are only logits."""
    logit = math.log(level / (1 - level))
    bins = {"d/real": (32, 31), "d/fake": (32, int(32 * level))} if log_odds else {"logit/real": (64, 40)}
    bins["logit/fake"] = (64, int((logit + 16) * 2))
    return {"iteration": iteration} | {key: [64 * (n == hit) for n in range(size)] for key, (size, hit) in bins.items()}


def form(loss: str) -> dict[str, Any]:
    """G's loss term and its slope for the two forms of the paper, on whole logits."""
    b = [float(n) for n in range(-16, 17)]
    sign = 1 if loss == "saturating" else -1
    softplus = [math.log1p(math.exp(-abs(x))) + max(sign * x, 0.0) for x in b]
    slope = [-1 / (1 + math.exp(-sign * x)) for x in b]
    return {
        "name": CLASSES.get(loss, loss).rpartition(".")[2],
        "logit": b,
        "g": [-sign * x for x in softplus],
        "g_slope": slope,
    }


def write_lines(path: Path, values: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def make_sweep(folder: Path, seeds: int = 5, better: str = "nonsaturating", by: float = 5.0) -> Path:
    """Both forms over seeds: one of them is better in FD, by about the same in every pair."""
    for seed in range(seeds):
        for loss in ("saturating", "nonsaturating"):
            fd = 40.0 + seed - (by + 0.1 * seed) * (loss == better)
            make_run(folder / f"loss={loss},seed={seed}", loss, seed, metrics={FD: fd, RECALL: 0.5 + 0.01 * seed})
    return folder
