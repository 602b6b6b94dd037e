"""`python train.py --help` says what there is, and nothing that there is not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ganduel.run.help import PAGE, WIDTH, option

CONF = Path(__file__).parents[2] / "conf"
TRAIN = CONF.parent / "train.py"


def test_every_group_choice_and_run_wide_option_is_named(command, compose):
    text = command("--help").out
    listed = {}
    for line in text[text.index("Groups") : text.index("Options")].splitlines():
        if found := re.match(r"  (\w+)(?:=\S+)? *(.*)", line):  # names follow, or begin on the next line
            group, names = found[1], found[2]
        elif found := re.match(r" {10,}(\S.+)", line):
            names = found[1]
        else:
            continue
        listed.setdefault(group, set()).update(name for name in names.split(", ") if name)
    files = {}
    for path in CONF.glob("*/*.yaml"):
        files.setdefault(path.parent.name, set()).add(path.stem)
    files.pop("hydra", None)
    assert {group: {name.rstrip(",") for name in names} for group, names in listed.items()} == files
    assert [key for key in compose() if not re.search(rf"^  {key}[=. ]", text, re.MULTILINE)] == []


def test_what_is_chosen_is_shown(command):
    text = command("--help", "loss=saturating", "callback=[statistics]", "batch_size=7").out
    assert re.search(r"^  loss=saturating ", text, re.MULTILINE)
    assert re.search(r"^  callback=\[statistics\] ", text, re.MULTILINE)
    assert re.search(r"^  batch_size=7 ", text, re.MULTILINE)


def test_an_option_of_any_length_is_set_off_from_what_is_said_of_it(compose):
    """The longest ran on: every_n_iterations=nulliterations between two evaluations."""
    config = OmegaConf.create(compose("callback=[statistics,evaluate]"))
    long = "callback.evaluate.every_n_iterations"
    assert [option(key, _root_=config) for key in (long, "seed")] == [f"{long}=null ", "seed=0".ljust(WIDTH)]


def test_every_option_it_names_is_one(compose):
    config = OmegaConf.create(compose("penalty=r1"))
    keys = re.findall(r"^  \{([\w.]+)", PAGE, re.MULTILINE)
    assert len(keys) > 15
    missing = object()
    assert [key for key in keys if OmegaConf.select(config, key, default=missing) is missing] == []


def test_it_answers_at_once():
    """Without torch, which takes seconds to import: 0.6 s of a CPU."""
    code = (
        "import atexit, runpy, sys; "
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); "
        "sys.argv = ['train.py', '--help']; "
        f"runpy.run_path({str(TRAIN)!r}, run_name='__main__')"
    )
    before = os.times()
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stderr.strip() == "False"
    assert os.times().children_user - before.children_user < 3


@pytest.mark.slow
def test_null_is_not_shown_as_a_choice(command):
    """`experiment=null` cannot be typed."""
    assert re.search(r"^  experiment  ", command("--help").out, re.MULTILINE)
