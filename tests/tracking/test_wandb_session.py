"""What W&B's library does when it is entered and left, with a stand-in for it."""

import os
import sys
import time
from types import SimpleNamespace

import pytest

from ganduel.tracking.wandb_session import brief, has_key, resolve_mode, teardown, without_wandb_variables


class Library:
    """As much of W&B as is entered: it reads WANDB_MODE, and stumbles over a mode that it does not know."""

    def __init__(self):
        self.calls = []
        self.api = SimpleNamespace(api_key="k" * 40)

    def Settings(self, **settings):
        return settings

    def setup(self, settings):
        self.calls.append((settings, {name for name in os.environ if name.startswith("WANDB_")}))
        mode = os.environ.get("WANDB_MODE", "online")
        if mode not in ("online", "offline", "disabled", "dryrun"):
            raise ValueError(
                f"1 error\n  mode\n    {mode} is unknown [type=literal_error, input={mode}]\n    See https://x"
            )
        return SimpleNamespace(settings=SimpleNamespace(mode=mode))


@pytest.fixture
def library(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    return Library()


@pytest.mark.parametrize(
    ("value", "mode", "says"),
    [
        (None, "online", "W&B's settings file says online"),
        ("offline", "offline", "WANDB_MODE says offline"),
        ("dryrun", "offline", "WANDB_MODE says dryrun"),
        ("disabled", "disabled", "WANDB_MODE says disabled"),
    ],
)
def test_the_mode_is_the_one_that_is_set(library, monkeypatch, value, mode, says):
    if value is not None:
        monkeypatch.setenv("WANDB_MODE", value)
    assert resolve_mode(library) == (mode, says)
    assert library.calls[0][0] == {"silent": True}


def test_a_malformed_variable_means_offline_and_is_left_as_it_was(library, monkeypatch):
    """Folders stay in force meanwhile: a home that cannot be written to is why they are set."""
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    monkeypatch.setenv("WANDB_CACHE_DIR", "/tmp")
    assert resolve_mode(library) == ("offline", "1 error mode sometimes is unknown")
    assert [names for _, names in library.calls] == [{"WANDB_MODE", "WANDB_CACHE_DIR"}, {"WANDB_CACHE_DIR"}]
    assert os.environ["WANDB_MODE"] == "sometimes"


def test_variables_come_back_after_a_failure(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", " x")

    def fail():
        with without_wandb_variables():
            raise OSError(f"{'WANDB_API_KEY' in os.environ}")

    with pytest.raises(OSError, match="False"):
        fail()
    assert os.environ["WANDB_API_KEY"] == " x"


@pytest.mark.parametrize("found", [True, False])
def test_a_key_is_looked_for_without_asking(library, found):
    def login(key=None, verify=True, prompt=True):
        assert not prompt, "asks"
        assert not verify, "waits for the network"
        return found

    library.login = login
    assert has_key(library) is found


@pytest.mark.parametrize("found", [True, False])
def test_versions_whose_login_always_asks_are_not_asked_to_log_in(library, found):
    library.login = lambda key=None, verify=False: pytest.fail("asks")
    library.api.api_key = "k" * 40 if found else None
    assert has_key(library) is found


def test_leaving_is_quiet_and_bounded(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", library)
    library.teardown = lambda: (_ for _ in ()).throw(ConnectionResetError("Connection lost"))
    teardown()  # an exception in the thread would be a warning, and so an error here
    library.teardown = lambda: time.sleep(30)
    begun = time.monotonic()
    teardown()
    assert time.monotonic() - begun < 5
    monkeypatch.delitem(sys.modules, "wandb")
    teardown()


def test_an_error_is_told_in_one_line():
    assert brief(OSError("a\n  b.")) == "a b"
    assert brief(TimeoutError()) == "TimeoutError"
    assert len(brief(OSError("x" * 1000))) == 201
