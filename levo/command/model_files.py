"""The files that a command line names: of weights and of the vocabulary."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .. import demo
from ..files.shards import ShardError, file_in
from ..kinds import Kind
from .job import Files

DEMO, TINY = "demo", "tiny"
KINDS = {"lelm": Kind.LELM, "renderer": Kind.RENDERER, "vae": Kind.VAE}  # that there are demo models of


def files_of(args: argparse.Namespace) -> Files:
    """Weights and vocabulary.

    Raises:
        ValueError: a file is not there, or only some of those that a song needs were given.
    """
    named = {name: getattr(args, name) for name in ("lelm", "renderer", "vae")}
    absent = [f"--{name}" for name, value in named.items() if value is None]
    if absent and len(absent) < len(named):
        missing = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing"
        raise ValueError(f"{missing}; give all three, or none for the demo models.")
    paths = {
        name: path_of(f"--{name.replace('_', '-')}", value, KINDS.get(name))
        for name, value in {
            **(dict.fromkeys(named, DEMO) if absent else named),
            "style_encoder": args.style_encoder,
            "track_encoder": args.track_encoder or (None if args.renderer == DEMO else args.renderer),
            "separator": args.separator,
        }.items()
    }
    return Files(**paths, vocabulary=_vocabulary(args.vocabulary, paths["lelm"]))


def path_of(option: str, value: str | None, kind: Kind | None = None) -> Path | None:
    """A file of an option, by its path or file:// address; None for the model with random weights.

    Raises:
        ValueError: there is no such file.
    """
    if value is None or value == TINY:
        return None
    if value == DEMO and kind:
        return demo.path(kind)
    path = _place(value)
    if kind is Kind.LELM and value and os.path.isdir(path):  # pathlib raises for names that are too long
        try:
            path = file_in(path)
        except ShardError as error:
            raise ValueError(f"{option}: the folder {value} {error}; name the file itself.") from error
    if not os.path.isfile(path):
        raise ValueError(f"{option}: there is no file {value}; name the file itself.")
    return path.absolute()


def _place(value: str) -> Path:
    if value.startswith("file:"):
        try:
            return Path(url2pathname(urlsplit(value).path))
        except ValueError:  # no address, in spite of how it begins
            pass
    return Path(value)


def _vocabulary(value: str | None, lelm: Path | None) -> Path | None:
    """The folder of the vocabulary; None where there is none, as some files of LeLM need none.

    Raises:
        ValueError: there is none in the folder that was given.
    """
    pack = Path(__file__).resolve().parents[2]
    comfyui = pack.parent.parent / "comfy" / "text_encoders" / "qwen25_tokenizer"
    of_weights = [lelm.parent, lelm.parent / "qwen2_tokenizer"] if lelm else []  # the second of MLX folders
    for folder in [Path(value)] if value else [*of_weights, comfyui]:
        if all(os.path.isfile(folder / name) for name in ("vocab.json", "merges.txt")):
            return folder.absolute()
    if value:
        raise ValueError(
            f"There is no vocabulary (vocab.json and merges.txt) in {value}; download both files from "
            "https://huggingface.co/Qwen/Qwen2-7B and give their folder as --vocabulary."
        )
    return None
