"""The switch of the loaders that compares files with their recorded hashes, and what they say of it."""

from __future__ import annotations

from comfy_api.latest import io

from ..levo.files import hashes
from ..levo.kinds import Kind
from .host import folders, reporting

BUILT_IN = "Not checked: no hash is recorded for random weights, which are built in."


def verify_input() -> io.Boolean.Input:
    """The switch; optional, so that prompts from before it was there still run."""
    return io.Boolean.Input(
        "verify",
        default=False,
        optional=True,
        tooltip="Read the whole file first and compare its sha256 with the one that LeVo Download Models "
        "or LeVo Save Checkpoint recorded, or that is published; the node says what was found.",
    )


def verify_files(on: bool, *chosen: tuple[Kind, str]) -> None:
    """Where it is wanted, compare files chosen in combos with their hashes, and say what was found.

    Raises:
        CheckpointError: a file is not the one whose hash is recorded.
    """
    if on:
        paths = [folders.path_of(kind, choice) for kind, choice in chosen]
        results = [hashes.verify(path, folders.roots(), reporting.Progress()) for path in paths if path]
        reporting.say("\n".join(results) or BUILT_IN)
