"""What people are told of a download that fails: one sentence, with what to do. Knows no disk."""

from __future__ import annotations

import time

from .catalogue import RemoteFile

RECORD = "downloads.json"


class DownloadError(ValueError):
    """Why a file did not arrive, and what to do, in one sentence."""


def named(file: RemoteFile) -> str:
    """A file as messages call it: by its place, a copy by where it comes from."""
    return f"{file.path} in {file.repository}" if file.place else str(file.local_path)


def elsewhere(file: RemoteFile) -> str:
    """What to do where a repository does not have a file as it was published."""
    return "take it from another source" if file.place else "check HF_ENDPOINT or update ComfyUI-LeVo"


def explained(error: Exception, file: RemoteFile, hub: str, lost: str) -> DownloadError:
    """What an error of huggingface_hub means.

    Args:
        error: that came of asking for a file.
        file: that was asked for.
        hub: address of the hub.
        lost: for errors of the connection, with {} for the error's name.
    """
    from huggingface_hub import errors

    what, token = f"{file.path} of {file.repository}", "set a token with HF_TOKEN or hf auth login"
    status = getattr(getattr(error, "response", None), "status_code", None)
    lacking = elsewhere(file) if file.place else "check HF_ENDPOINT"
    offline = "unset it and restart ComfyUI, or copy the files by hand as the help page says"
    sentences = (
        (errors.OfflineModeIsEnabled, f"HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set; {offline}"),
        (
            errors.GatedRepoError,
            f"{file.repository} is gated; accept its licence on {file.page} and {token}",
        ),
        (errors.RepositoryNotFoundError, f"{hub} has no {what}, or hides it; {lacking} or {token}"),
        (
            (errors.EntryNotFoundError, errors.RevisionNotFoundError),
            f"{hub} has no {what} at revision {file.revision}; {elsewhere(file)}",
        ),
        (errors.HfHubHTTPError, f"{hub} answered {status} for {what}; try again later or {token}"),
        (RecursionError, f"{hub} answered for {what} in a form that cannot be read; check HF_ENDPOINT"),
        (Exception, f"{hub} {lost.format(type(error).__name__)}"),
    )
    return DownloadError(next(sentence for kind, sentence in sentences if isinstance(error, kind)) + ".")


def changed(file: RemoteFile, first: dict, sha256: str) -> str:
    """What is said of a file that is another than the one of its first download here.

    Args:
        file: of the catalogue.
        first: what was recorded of that download.
        sha256: of the file now.
    """
    return (
        f"{file.path} of {file.repository} has changed since it was first downloaded here: sha256 "
        f"{first['sha256']} on {first['time']}, {sha256} on {now()}; to take the new one, remove "
        f"{file.local_path} from {RECORD} in models/levo."
    )


def now() -> str:
    """The time as it is recorded."""
    return time.strftime("%Y-%m-%d %H:%M")
