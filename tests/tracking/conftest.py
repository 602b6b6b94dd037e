"""The W&B logger, with a test double instead of wandb."""

import logging
import os
import sys

import pytest
from wandb_double import CONFIG, Library

from ganduel.tracking import wandb as module
from ganduel.tracking.wandb import Wandb


@pytest.fixture
def library(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")  # or else it would be left behind
    stand_in = Library()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    return stand_in


@pytest.fixture
def lines(caplog):
    """What the program has said so far, a line each."""
    caplog.set_level(logging.INFO, logger="ganduel")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "ganduel"]


@pytest.fixture
def tracker(library, tmp_path):
    """A function that makes a tracker of the stand-in's, and begins."""

    def make(config=CONFIG, **knobs):
        made = Wandb(tmp_path, config, **{"init_timeout": 0.0, "finish_timeout": 0.0, **knobs})
        made.begin(0)
        return made

    return make
