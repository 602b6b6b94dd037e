"""Every loss with every penalty, augmentation and condition: finite, resumed bit for bit, and the same in a population.

The fast table has each pair of choices at least once, with fully connected networks and with DCGAN; slow tests have
each loss with each penalty, and two ranks.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from states import same
from toy_runs import WORDS, begin, check_equal, distance, last, members, timeless, train, until
from toys import part

from ganduel import checkpoint
from ganduel.population.trainer import MemberSpec, train_members
from ganduel.tracking.files import read_config

CONF = Path(__file__).parents[1] / "conf"
DIVERGENCES = ("reverse_kl", "pearson", "squared_hellinger", "jensen_shannon")


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


LOSSES = names("loss")
OTHERS = [f"f_divergence loss.divergence={name}" for name in DIVERGENCES]
PENALTIES = [*(f"penalty.{name}" for name in names("penalty")), *(f"penalty_g.{name}" for name in names("penalty_g"))]
AUGMENTS, CONDITIONS = names("augment"), names("condition")
GROUPS = ("penalty", "penalty_g")
NETWORKS = {
    "mlp": {},
    "dcgan": {
        "generator": {"_target_": "ganduel.model.dcgan.DCGANGenerator", "noise_dim": 3, "width": 2, "norm": "layer"},
        "discriminator": {"_target_": "ganduel.model.dcgan.DCGANDiscriminator", "width": 2, "norm": "none"},
    },
}
SEVERAL = 4  # penalties at once

Row = tuple[str, tuple[str, ...], str, str]  # a loss, some penalties, an augmentation, a condition


def pairs(loss: str, penalties: Sequence[str], augment: str, condition: str) -> set[tuple[str, ...]]:
    """The pairs of choices in a row of the table."""
    return set(combinations((loss, f"augment={augment}", f"condition={condition}", *penalties), 2))


@cache
def table() -> tuple[Row, ...]:
    """Rows, each of which adds as many pairs of choices as one can, until each pair has occurred."""
    rows = {row: pairs(*row) for row in product(LOSSES, combinations(PENALTIES, SEVERAL), AUGMENTS, CONDITIONS)}
    wanted, chosen = set[tuple[str, ...]]().union(*rows.values()), list[Row]()
    while wanted:
        chosen.append(max(rows, key=lambda row: len(wanted & rows[row])))
        wanted -= rows[chosen[-1]]
    return tuple(chosen)


def words(loss: str, penalties: tuple[str, ...], augment: str, condition: str) -> list[str]:
    """What one types for a row. Adaptive augmentation goes by a threshold at 0, which not each loss has."""
    of = {group: ",".join(p.split(".")[1] for p in penalties if p.startswith(f"{group}.")) for group in GROUPS}
    lazy = [f"{p}.every=2" for p in penalties[::2] if "clip_weights" not in p]
    fixed = ["augment.target=null", "augment.p=0.5"] if augment == "ada" else []
    return [
        *f"loss={loss}".split(), f"augment={augment}", f"condition={condition}", *fixed,
        *(f"{group}=[{names}]" for group, names in of.items()), *lazy,
    ]  # fmt: skip


@pytest.fixture
def values(tiny: Callable[..., dict]) -> Callable[..., dict[str, Any]]:
    """A function from a row to the config of three iterations on images of 3 × 5 × 5."""
    short = [*WORDS, "callback=[statistics]", "k=1", "log_every=1", "trainer.max_steps=3"]
    short = [word for word in short if "saturation" not in word]

    def values(*row: Any, network: str = "mlp") -> dict[str, Any]:
        config = tiny(*short, *words(*row))
        return {**config, "data": part("TinyImages"), "model": {**config["model"], **NETWORKS[network]}}

    return values


def test_the_table_has_each_pair():
    seen = {frozenset(pair) for row in table() for pair in pairs(*row)}
    more = [f"augment={name}" for name in AUGMENTS], [f"condition={name}" for name in CONDITIONS]
    for first, second in combinations((LOSSES, PENALTIES, *more), 2):
        assert {frozenset(pair) for pair in product(first, second)} <= seen
    assert {frozenset(pair) for pair in combinations(PENALTIES, 2)} <= seen
    assert min(len(LOSSES), len(PENALTIES)) >= 8


def check_resumed(tmp_path: Path, configs: Sequence[dict[str, Any]], wholes: Sequence[Path]) -> None:
    """A population that stopped after two iterations has the same bits after the third as one that did not."""
    folders = [tmp_path / f"resumed{n}" for n in range(len(configs))]
    parts = [begin(folder, until(config, 2)) for folder, config in zip(folders, configs, strict=True)]
    train_members([MemberSpec(f.name, part, f) for f, part in zip(folders, parts, strict=True)], bar=False)
    rest = [MemberSpec(f.name, until(read_config(f), 3), f, checkpoint.latest(f)) for f in folders]
    assert train_members(rest, bar=False) is None
    for folder, whole in zip(folders, wholes, strict=True):
        assert all(math.isfinite(value) for row in timeless(folder) for value in row.values())
        assert same(last(folder), last(whole))


def together(tmp_path: Path, configs: Sequence[dict[str, Any]]) -> list[Path]:
    """The folders of members that have been trained as a population."""
    folders = [tmp_path / f"whole{n}" for n in range(len(configs))]
    specs = [MemberSpec(f.name, begin(f, config), f) for f, config in zip(folders, configs, strict=True)]
    assert train_members(specs, bar=False) is None
    return folders


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("condition", "network"),  # members have one architecture
    [
        pytest.param(c, n, marks=pytest.mark.slow if (c, n) != ("none", "mlp") and n == "mlp" else ())
        for c in CONDITIONS
        for n in NETWORKS
    ],
)
def test_the_table_is_resumed(values: Callable, tmp_path: Path, condition: str, network: str):
    """Three iterations are finite, and have the same bits if all stopped after two."""
    configs = [values(*row, network=network) for row in table() if row[-1] == condition]
    check_resumed(tmp_path, configs, together(tmp_path, configs))


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    "condition", [pytest.param(c, marks=() if c == "none" else pytest.mark.slow) for c in CONDITIONS]
)
def test_a_member_is_the_run_alone(values: Callable, tmp_path: Path, condition: str):
    for alone, member in members(tmp_path, [values(*row) for row in table() if row[-1] == condition]):
        check_equal(alone, member)


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_each_loss_with_each_penalty(values: Callable, tmp_path: Path):
    """All f-divergences too, and R1 with R2: finite, and the same bits after a stop."""
    sets = [(), *((name,) for name in PENALTIES), ("penalty.r1", "penalty.r2")]
    configs = [values(loss, penalties, "none", "none") for loss, penalties in product([*LOSSES, *OTHERS], sets)]
    check_resumed(tmp_path, configs, together(tmp_path, configs))


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("row", table()[::7])
def test_two_ranks_are_one(values: Callable, tmp_path: Path, row: Row):
    """What is drawn is drawn for the whole minibatch, and what is kept is averaged over the ranks."""
    config = values(*row)
    alone = train(tmp_path / "one", config)
    pair = train(tmp_path / "two", config, trainer={**config["trainer"], "devices": 2})
    assert distance(alone["state_dict"], pair["state_dict"]) < 1e-9
