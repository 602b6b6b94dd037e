"""What is hidden, what is not, and how a resumed run gets back what was."""

import time
from pathlib import Path

import pytest

from ganduel.errors import UserError
from ganduel.tracking.secrets import HIDDEN, with_secrets, without_secrets

RUN = Path("run")


def test_secrets_are_hidden_wherever_they_are():
    config = {
        "data": {"api_key": "abc", "dir": "/data", "parts": [{"Password": "abc"}, 3], "credentials": {"user": "abc"}},
        "run": {"overrides": ["data.token=abc=abc", "data.dir=/data", "k=2"]},
        "folder": "seed=1,data.token=abc",
    }
    assert without_secrets(config) == {
        "data": {"api_key": HIDDEN, "dir": "/data", "parts": [{"Password": HIDDEN}, 3], "credentials": HIDDEN},
        "run": {"overrides": [f"data.token={HIDDEN}", "data.dir=/data", "k=2"]},
        "folder": f"seed=1,data.token={HIDDEN}",
    }
    assert config["data"]["api_key"] == "abc"  # the run's own config is as it was


NAMES = (
    "auth basic_auth oauth Authorization token tokens hf_token accessToken client_secret passwd password db_pwd "
    "passphrase key api_key apikey X-Api-Key ssh_key access_keys cookie session_cookies credential AWS_SECRET_KEY"
)
OTHERS = "tokenizer tokenize author authors keys keyed monkey keyboard hockey passes compass dir hidden projection"


@pytest.mark.parametrize("name", NAMES.split())
def test_names_of_secrets(name):
    assert without_secrets({name: "hunter2"}) == {name: HIDDEN}
    assert without_secrets(f"tracking.{name}=hunter2") == f"tracking.{name}={HIDDEN}"
    assert without_secrets({name: 64, "a": [None]}) == {name: 64, "a": [None]}


@pytest.mark.parametrize("name", OTHERS.split())
def test_names_of_no_secrets(name):
    assert without_secrets({name: "hunter2"}) == {name: "hunter2"}
    assert without_secrets(f"a.{name}=hunter2") == f"a.{name}=hunter2"


@pytest.mark.parametrize(
    "plain",
    [
        {"model": {"token_dim": 64, "tokens": None, "token": True}, "run": {"overrides": ["model.token_dim=64"]}},
        {"monitor_key": "loss/d", "key": "fd/mnist_cnn_10k", "overrides": ["callback.best.key=fd/mnist_cnn_10k"]},
        {"overrides": ["tracking.api_key=${oc.env:MY_KEY}", "data.token=null", "data.token=false"]},
        {"data": {"url": "https://example.org:8080/a@b", "dir": "user:password@host"}},
    ],
)
def test_what_is_no_secret_is_left(plain):
    assert without_secrets(plain) == plain


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://me:hunter2@example.org/x", f"https://{HIDDEN}@example.org/x"),
        ("s3://k:a@b@host/x and http://:p@h", f"s3://{HIDDEN}@host/x and http://{HIDDEN}@h"),
        ("https://example.org/x?token=hunter2&page=2", f"https://example.org/x?token={HIDDEN}&page=2"),
        ("a=1,data.token=hunter2,b=2", f"a=1,data.token={HIDDEN},b=2"),
        ("+t.headers={Authorization: Bearer hunter2, b: 2}", f"+t.headers={{Authorization: {HIDDEN}, b: 2}}"),
        ("data.pwd=two words", f"data.pwd={HIDDEN}"),
        ("data.token='hunter2' is not a number.", f"data.token={HIDDEN} is not a number."),
        ("data.token=['hunter2', 'b'] is not text.", f"data.token={HIDDEN} is not text."),
        ("token=hunter2\nsecret: hunter2", f"token={HIDDEN}\nsecret: {HIDDEN}"),
    ],
)
def test_secrets_in_text(text, hidden):
    assert without_secrets(text) == hidden
    assert without_secrets(hidden) == hidden


@pytest.mark.parametrize(
    "piece", ["a", "token", "a://", "token ", "token= ", "token=a,", "token=[", "token='", "key=", "x:"]
)
def test_a_long_text_takes_no_time(piece):
    """A folder that is compared may be a stranger's."""
    before = time.process_time()
    without_secrets(piece * (300_000 // len(piece)))
    assert time.process_time() - before < 5


STORED = {
    "tracking": {"api_key": HIDDEN, "headers": [{"Cookie": HIDDEN}], "url": f"https://{HIDDEN}@h/x", "project": "p"},
    "seed": 0,
    "run": {"overrides": [f"tracking.api_key={HIDDEN}"]},
}
GIVEN = {"tracking": {"api_key": "abc", "headers": [{"Cookie": "c"}], "url": "https://a:b@h/x", "project": "other"}}


def test_a_resumed_run_has_the_secrets_of_its_command_line():
    restored = with_secrets(STORED, GIVEN, RUN)
    assert restored == {**STORED, "tracking": {**GIVEN["tracking"], "project": "p"}}
    assert without_secrets(restored) == STORED


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "tracking.api_key"),
        ({"tracking": None}, "tracking.api_key"),
        ({"tracking": {**GIVEN["tracking"], "api_key": None}}, "tracking.api_key"),
        ({"tracking": {**GIVEN["tracking"], "headers": []}}, "tracking.headers.Cookie"),
        ({"tracking": {**GIVEN["tracking"], "url": "https://a:b@elsewhere/x"}}, "tracking.url"),
    ],
)
def test_what_is_not_given_again_is_asked_for(given, key):
    with pytest.raises(UserError, match=rf"run has no {key} on record, .* of tracking, where {key}='\$\{{oc\.env:NAME"):
        with_secrets(STORED, given, RUN)
