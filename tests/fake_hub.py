"""The double of the hub that models are pushed to."""

from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from httpx2 import Request, Response
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError


class FakeHub:
    """A hub with these repos: of each, its files with their content, and whether it is private. `errors`: by call.

    `folder` is where it puts what is downloaded; `commits` has their messages.
    """

    def __init__(self, folder: Path, repos: Mapping[str, tuple[dict[str, bytes], bool]] | None = None, **errors: Exception):
        self._folder, self.repos, self._errors = folder, dict(repos or {}), errors
        self.commits: list[str] = []

    def repo_info(self, repo_id: str) -> Any:
        self._ask("repo_info")
        if repo_id not in self.repos:
            raise refusal(404, kind=RepositoryNotFoundError)
        files, private = self.repos[repo_id]
        return SimpleNamespace(private=private, sha="a" * 40, siblings=[SimpleNamespace(rfilename=name) for name in files])

    def create_repo(self, repo_id: str, *, private: bool) -> None:
        self._ask("create_repo")
        self.repos[repo_id] = ({".gitattributes": b""}, private)

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str) -> str:
        path = self._folder / filename
        path.write_bytes(self.repos[repo_id][0][filename])
        return str(path)

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str, delete_patterns: list[str]) -> Any:
        """Makes no commit if nothing changes, as the hub does."""
        self._ask("upload_folder")
        before, private = self.repos[repo_id]
        kept = {name: data for name, data in before.items() if not any(fnmatch(name, each) for each in delete_patterns)}
        after = kept | {path.name: path.read_bytes() for path in folder_path.iterdir()}
        if after != before:
            self.commits.append(commit_message)
        self.repos[repo_id] = (after, private)
        return SimpleNamespace(repo_url=f"https://hub/{repo_id}")

    def _ask(self, call: str) -> None:
        if call in self._errors:
            raise self._errors[call]


def refusal(status: int, said: str | None = None, kind: type[HfHubHTTPError] = HfHubHTTPError) -> HfHubHTTPError:
    """The error that the hub's client raises for an answer."""
    response = Response(status, request=Request("POST", "https://hub/api"))
    return kind(f"{status} Client Error", response=response, server_message=said)
