"""Run an experiment with several seeds and write the results: python scripts/reproduce.py ring8_r1 --seeds 10.

Every seed is a run of train.py in its own process with one thread, several in parallel. A JSON file gets, for each
metric, its value for each seed, the mean, and the 95% interval of the mean by Student's t; and the command, versions,
machine and seconds per run, which are those of a machine that does `--side-by-side` runs at a time. Finished runs that
are in the folder already are not run again.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from ganduel.tracking.files import read_config
from ganduel.tracking.provenance import provenance

ROOT = Path(__file__).resolve().parent.parent
OF_TRAINING = ("loss", "logit", "d", "grad", "weight", "saturation", "theory", "speed")  # what keys there begin with


def run(experiment: str, seed: int, folder: Path, overrides: list[str]) -> dict[str, Any]:
    """The summary of one run, which is done now unless it is there."""
    if not (folder / "summary.json").exists():
        command = [sys.executable, str(ROOT / "train.py"), f"experiment={experiment}", f"seed={seed}", "tracking=none"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, f"hydra.run.dir={folder}", *overrides], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"seed {seed}: {done.stderr.strip().splitlines()[-1]}")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    print(f"seed {seed}: {shown(summary['metrics'])}", flush=True)
    return summary


def shown(metrics: dict[str, float]) -> str:
    """The metrics of samples in a line."""
    return "  ".join(f"{key} {value:.4g}" for key, value in metrics.items() if measured(key))


def measured(key: str) -> bool:
    """Whether the key is that of a metric of samples, whose names end in features and size."""
    return "_" in key.partition("/")[2] and key.partition("/")[0] not in OF_TRAINING


def interval(values: list[float]) -> list[float] | None:
    """The 95% interval of the mean by Student's t; None for a single value."""
    n = len(values)
    if n < 2:
        return None
    reach = float(student.ppf(0.975, n - 1)) * stdev(values) / math.sqrt(n)
    return [mean(values) - reach, mean(values) + reach]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("experiment")
    parser.add_argument("overrides", nargs="*", help="further words for train.py")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--side-by-side", type=int, default=2, help="runs at a time")
    parser.add_argument("--folder", type=Path, help="of the runs; a new one by default")
    parser.add_argument("--out", type=Path, help="benchmarks/EXPERIMENT.json by default")
    options = parser.parse_intermixed_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix=f"{options.experiment}-"))
    with ThreadPoolExecutor(options.side_by_side) as pool:
        summaries = list(
            pool.map(
                lambda seed: run(options.experiment, seed, folder / f"seed{seed}", options.overrides),
                range(options.seeds),
            )
        )
    origin, config = provenance(), read_config(folder / "seed0")
    metrics = {key: [s["metrics"][key] for s in summaries] for key in summaries[0]["metrics"] if measured(key)}
    words = " ".join(["experiment=" + options.experiment, *options.overrides])
    results = {
        "command": f"python train.py -m {words} seed={','.join(map(str, range(options.seeds)))}",
        "metrics": {
            key: {"mean": mean(values), "interval": interval(values), "seeds": values}
            for key, values in metrics.items()
        },
        "iterations": [s["iteration"] for s in summaries],
        "seconds": [round(s["seconds"], 1) for s in summaries],
        "side_by_side": options.side_by_side,
        "status": [s["status"] for s in summaries],
        "config": {key: value for key, value in config.items() if key != "run"},
        "machine": {**origin["machine"], "cores": os.cpu_count()},
        **{key: origin[key] for key in ("versions", "git", "created")},
    }
    out = options.out or ROOT / "benchmarks" / f"{options.experiment}.json"
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for key, row in results["metrics"].items():
        print(f"{key}: {row['mean']:.4g} {row['interval']}")


if __name__ == "__main__":
    main()
