"""Options and choices of earlier versions, and what to type instead; configs of runs that still have them."""

from collections.abc import Mapping
from typing import Any

OPTIONS = {
    "trainer.replay": "Leave it out: on a CPU updates run eagerly",
    "trainer.onednn": "Type trainer.matmul_precision=auto, or trainer.matmul_precision=highest to do without oneDNN",
    "trainer.cuda_graph": "Type engine=cuda_graph, or engine=eager to do without",
    "trainer.compile": "Type engine=compile, or engine=eager to do without",
    "penalty.gamma": "Type penalty=r1 penalty.r1.gamma=…",
    "population.over": "Type population.grid=…",
    "checkpoint_seconds": "Type checkpoint_min_seconds=…",
    "ema.every": "Type ema.every_n_iterations=…",
    "callback.statistics.every": "Type callback.statistics.every_n_iterations=…",
    "callback.saturation.every": "Type callback.saturation.every_n_iterations=…",
    "callback.saturation.gradient_every": "Type callback.saturation.gradient_every_n_iterations=…",
    "callback.theory.every": "Type callback.theory.every_n_iterations=…",
    "callback.evaluate.every": "Type callback.evaluate.every_n_iterations=…",
    **{
        f"tracking.{key}": f"Type tracking.wandb.{key}=…"
        for key in ("project", "entity", "group", "tags", "init_timeout", "finish_timeout")
    },
}
CHOICES = {"penalty=none": "Type penalty=[]", "hydra/sweeper=optuna": "Type hydra/sweeper=search"}


def retired_option(key: str) -> str | None:
    """The line that answers an option of an earlier version; None for any other key."""
    return f"{key} is no longer an option. {OPTIONS[key]}." if key in OPTIONS else None


def retired_choice(group: str, choice: str) -> str | None:
    """The line that answers a choice of an earlier version; None for any other."""
    word = f"{group}={choice}"
    return f"{word} is no longer a choice. {CHOICES[word]}." if word in CHOICES else None


def updated(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a run as this version writes it: W&B was the only tracker, without a name, and null none."""
    tracking = config["tracking"] or {}
    is_unnamed = tracking.get("_target_") == "ganduel.tracking.wandb.Wandb"
    return {**config, "tracking": {"wandb": tracking} if is_unnamed else tracking}
