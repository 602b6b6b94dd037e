"""A user's own logger takes an API key: it trains with the key, and no file that is left has it."""

from pathlib import Path

import pytest
import yaml
from small import SMALL

SECRETS = (b"hunter2", b"correct horse")
WORDS = (*SMALL, "data=ring8", "callback=[statistics]", "trainer.max_steps=2", "--config-dir", "conf", "tracking=mine")
MODULE = """
from ganduel.tracking.base import Logger

class Mine(Logger):
    name, version = "mine", "1"

    def __init__(self, folder, config, api_key: str, url: str, headers: dict | None = None):
        super().__init__()
        assert (api_key, url) == ("hunter2", "https://me:hunter2@example.org"), api_key
        assert headers in (None, {"Cookie": "correct horse"})

    def log_metrics(self, metrics, step=None):
        pass
"""


@pytest.fixture
def logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "hunter2")
    (tmp_path / "logger_with_a_key.py").write_text(MODULE)
    (tmp_path / "conf" / "tracking").mkdir(parents=True)
    node = {
        "_target_": "logger_with_a_key.Mine",
        "api_key": "${oc.env:MY_KEY}",
        "url": "https://me:hunter2@example.org",
    }
    text = yaml.safe_dump({"tracking": node})
    (tmp_path / "conf" / "tracking" / "mine.yaml").write_text(f"# @package _global_\n{text}")


def leaks(folder: Path) -> list[Path]:
    """Files with a secret in their content or name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if any(s in path.read_bytes() + bytes(path) for s in SECRETS)]


@pytest.mark.usefixtures("logger", "untyped")
def test_the_record_of_a_run_has_no_secret_and_a_resume_is_given_it(command, tmp_path: Path) -> None:
    """config.yaml and checkpoints are what people attach to an issue."""
    outcome = command(*WORDS, "+tracking.headers={Cookie: correct horse}", "hydra.run.dir=a")
    assert outcome.code == 0, outcome.err
    assert leaks(tmp_path / "a") == []
    refused = command("resume=a", "trust=true", "trainer.max_steps=4")
    assert refused.err.startswith("error: a has no tracking.api_key on record, as it may be a secret. Say again what ")
    assert "tracking.api_key='${oc.env:NAME}' takes it from the environment." in refused.err
    again = command(*WORDS, "+tracking.headers={Cookie: correct horse}", "resume=a", "trainer.max_steps=4")
    assert again.code == 0, again.err
    assert leaks(tmp_path / "a") == []


@pytest.mark.slow
@pytest.mark.usefixtures("logger", "untyped")
def test_the_files_of_a_sweep_have_no_secret(command, tmp_path: Path) -> None:
    """Hydra saves a sweep's config, and its folders are named by its options."""
    sweep = (*WORDS, "-m", "seed=0", "hydra.sweep.dir=all")
    refused = command(*sweep, "tracking.api_key=hunter2")
    assert refused.err == (
        "error: tracking.api_key may be a secret, and options name the folders of a sweep: "
        "type tracking.api_key='${oc.env:NAME}'.\n"
    )
    assert not (tmp_path / "all").exists()
    for steps, finished in ((2, 1), (3, 2)):
        outcome = command(*sweep, "tracking.api_key=${oc.env:MY_KEY}", f"trainer.max_steps={steps}")
        assert f"{finished} of {finished} runs finished" in outcome.err
    assert leaks(tmp_path / "all") == []
    assert "https://(hidden)@example.org" in (tmp_path / "all" / "multirun.yaml").read_text()


@pytest.mark.usefixtures("logger", "untyped")
def test_a_message_has_no_secret(command, tmp_path: Path) -> None:
    outcome = command(*WORDS, "tracking.api_key=[hunter2]", "hydra.run.dir=a")
    assert outcome.err == "error: tracking.api_key=(hidden) is not text.\n"
