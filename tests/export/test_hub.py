"""Uploads to a hub that is not there: what is asked of it, and what is said where it cannot be asked."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganduel.errors import UserError
from ganduel.export.hub import upload


@pytest.fixture
def hub(monkeypatch):
    """A hub that notes what it is asked; `token` is the user's."""
    hub = SimpleNamespace(calls=[], token="secret")

    class HfApi:
        def create_repo(self, name, exist_ok):
            hub.calls.append(("create", name, exist_ok))
            return f"the hub's page of {name}"

        def upload_folder(self, repo_id, folder_path, commit_message):
            if repo_id == "me/down":
                raise ConnectionError("no route\nto host")
            hub.calls.append(("upload", repo_id, folder_path))

    module = SimpleNamespace(HfApi=HfApi, get_token=lambda: hub.token)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return hub


def test_the_folder_is_uploaded(hub):
    assert upload(Path("out"), "me/gan") == "uploaded to the hub's page of me/gan"
    assert hub.calls == [("create", "me/gan", True), ("upload", "me/gan", Path("out"))]


def test_what_is_missing_is_said(hub, monkeypatch):
    with pytest.raises(UserError, match=r"--push me/down: ConnectionError: no route\. The folder out is written\."):
        upload(Path("out"), "me/down")
    hub.token = None
    with pytest.raises(UserError, match=r"there is no token\. Type: hf auth login; or set HF_TOKEN\."):
        upload(Path("out"), "me/gan")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"needs huggingface_hub: pip install 'ganduel\[hub\]'"):
        upload(Path("out"), "me/gan")


def test_the_real_package_has_what_is_called():
    package = pytest.importorskip("huggingface_hub")
    assert callable(package.get_token)
    assert {"create_repo", "upload_folder"} <= set(dir(package.HfApi))
