"""An exported folder on the Hugging Face hub."""

from pathlib import Path

from ganduel.errors import UserError, summary_of


def upload(folder: Path, name: str) -> str:
    """Make the repository if there is none, and upload the folder; returns its address."""
    try:
        from huggingface_hub import HfApi, get_token
    except ImportError as error:
        raise UserError(f"--push {name} needs huggingface_hub: pip install 'ganduel[hub]'.") from error
    if get_token() is None:
        raise UserError(
            f"--push {name}: there is no token. Type: hf auth login; or set HF_TOKEN. The folder {folder} is written."
        )
    api = HfApi()
    try:
        repository = api.create_repo(name, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="ganduel export")
    except Exception as error:  # of many types: the network, rights, a name that cannot be
        raise UserError(f"--push {name}: {summary_of(error)[:200]}. The folder {folder} is written.") from error
    return f"uploaded to {repository}"
