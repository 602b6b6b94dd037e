"""The page of `ganduel train --help`, with options and choices as the config has them."""

import re
import textwrap
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from ganduel.errors import program

WIDTH = 38  # of the column of options
NOTHING = "null"  # chosen; on a command line it is no choice of a group

# {key} becomes the option with its value, {key,example} with an example where the chosen parts do not have it. Not
# OmegaConf's interpolations: these would be parsed in each run, for longer than the rest of the config.
PAGE = """Train a generative adversarial network, record the run, stop and resume it.

  ganduel train [group=choice ...] [option=value ...]

Groups, the choice made in each, and the other choices:

[choices]

Options, with their values for these choices:

  {seed}of the initial weights, the order of the data and the noise
  {k}updates of D per iteration
  {batch_size}samples per minibatch, over all devices together
  {pack}samples that D sees at once: PacGAN
  {unroll}steps that D goes ahead of G: unrolled GANs
  {engine}how updates run: eager, cuda_graph, compile; auto: cuda_graph on a GPU
  {log_every}iterations between two rows of metrics
  {checkpoint_every}iterations between two checkpoints
  {checkpoint_min_seconds}at least this many seconds between them
  {resume}the folder of a run to resume
  {trust}whether a run to resume may have parts that are not ganduel's: docs/security.md
  {objective}the metric that a sweeper optimises, such as loss/g
  {trainer.max_steps}iterations of Algorithm 1
  {trainer.max_epochs}passes over the data, instead of iterations
  {trainer.accelerator}cpu, gpu, mps; auto: the best available
  {trainer.devices}processes, one device each; auto takes all
  {trainer.precision}or bf16-mixed, 16-mixed
  {trainer.matmul_precision}of float32 matmuls: highest, high (TF32 on a GPU), medium
  {ema.half_life_kimg}of the average of G that is sampled, in 1000 images; ema=null: no average
  {ema.ramp}its half-life as a fraction of training so far, at most; null: no limit
  {ema.every_n_iterations}iterations between two updates of that average
  {clip.discriminator}the largest norm of D's gradient; null: no limit
  {clip.generator}the same for G
  {optimizer.discriminator.lr}D's learning rate
  {optimizer.generator.lr}G's learning rate
  {callback.evaluate.every_n_iterations,null}iterations between two evaluations of samples; null: only at the end
  {penalty_g}penalties of G, from a config folder of yours
  {penalty.r1.gamma,10.0}R1's weight, with penalty=r1
  {penalty.r1.every,1}iterations between two whose update of D has it
  {model.generator.noise_dim}the dimension of the noise
  {model.generator.hidden}widths of G's hidden layers, with model=mlp
  {model.discriminator.hidden}widths of D's
  {population.seeds}runs at once: this many seeds from `seed` on, or a list of seeds
  {population.grid}other values that they differ in, such as {loss: [saturating, nonsaturating]}
  {population.processes}worker processes; auto: one per device, on a CPU one per core if networks are small
  hydra.run.dir=my/run                  the run's folder, instead of runs/DATE/TIME-…

Examples:

  ganduel train loss=saturating tracking=none                 without Weights & Biases
  ganduel train resume=runs/DATE/TIME-…                       resume a run that was stopped
  ganduel train resume=runs/DATE/TIME-… trainer.max_steps=20000   or train it for longer
  ganduel train trainer.devices=2                             on two GPUs, or in two processes on the CPU
  ganduel train -m seed=0,1,2 loss=saturating,nonsaturating   six runs, one after another
  ganduel train -m seed=0,1,2,3 hydra/launcher=joblib         side by side; see docs/sweeps.md
  ganduel train experiment=population_ring8                   32 runs at once, in a quarter of the time
  ganduel train --config-dir my_conf loss=my_loss             your own parts; see docs/extending.md

The whole config, with all options:   ganduel train --cfg job
Tab completion in bash:               eval "$$(ganduel train -sc install=bash)"
"""


def page(*, _root_: DictConfig) -> str:
    """The page for a config; Hydra asks for it with `--help` alone."""
    text = re.sub(r"\{([\w.]+)(?:,([\w.]+))?\}", lambda field: option(field[1], field[2], _root_=_root_), PAGE)
    return text.replace("ganduel train", program()).replace("[choices]", choices(_root_=_root_))


def option(key: str, example: Any = None, *, _root_: DictConfig) -> str:
    """An option with its value, or with an example if the chosen parts do not have it."""
    value = OmegaConf.select(_root_, key, default=example)
    return f"{key}={shown(value)}".ljust(WIDTH - 1) + " "


def shown(value: Any) -> str:
    """A value in the syntax of the command line."""
    if OmegaConf.is_dict(value) and not value:  # no choice in a group that takes several
        return "[]"
    if OmegaConf.is_list(value):
        return f"[{','.join(map(shown, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def several(parts: Any, group: str) -> str:
    """The choices made in a group that takes several, by the names of the parts; null where that is the default."""
    return NOTHING if group in ("experiment", "metric") and not parts else shown(OmegaConf.create(list(parts or [])))


def choices(*, _root_: DictConfig) -> str:
    """All groups, the choice made in each, and all its choices."""
    loader = GlobalHydra.instance().config_loader()
    chosen = _root_.hydra.runtime.choices
    lines = []
    for group in loader.list_groups(""):
        names = loader.get_group_options(group)
        if group == "hydra" or not names:
            continue
        choice = chosen.get(group) or several(_root_.get(group), group)
        head, indent = f"  {group}" + ("" if choice == NOTHING else f"={choice}"), " " * (WIDTH + 2)
        if len(head) >= len(indent):
            lines.append(head)
            head = ""
        lines += textwrap.wrap(head.ljust(len(indent)) + ", ".join(names), 110, subsequent_indent=indent)
    return "\n".join(lines)
