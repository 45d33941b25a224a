"""The node that downloads the released files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

from comfy_api.latest import io

from ..levo.files import hub
from ..levo.files.catalogue import (
    COPIES,
    GGUF_LELM,
    GGUF_RENDERER,
    GGUF_VAE,
    LICENCE,
    LICENCE_PAGE,
    PROMPT_LIBRARY,
    RELEASES,
    RemoteFile,
    copy_in,
)
from ..levo.files.plain_data import shown
from ..levo.kinds import MODELS, Kind
from .host import fits, folders, reporting

Choice = TypeVar("Choice")

NONE = "none"
PUBLISHED = "as published"  # the source
PARTS = {  # by input
    "renderer": MODELS[Kind.RENDERER].published,
    "vae": MODELS[Kind.VAE].published,
    "style_encoder": MODELS[Kind.MIXED_ENCODER].published,
    "separator": MODELS[Kind.SEPARATOR].published,
    "styles": PROMPT_LIBRARY,
}
TEXT_SECONDS = 0.5  # between two lines of text on the node
UNACCEPTED = (
    f"LeVo Download Models runs when accept_licence is ticked; read the licence on {LICENCE_PAGE} first: "
    "research and education only, no commercial use."
)


def size_of(parts: Sequence[RemoteFile]) -> str:
    """The bytes of files together, for a reader."""
    size = sum(file.size for file in parts)
    return f"{size / 1e9:.1f} GB" if size >= 5e7 else f"{size / 1e6:.0f} MB"


def _labelled(files: Mapping[str, tuple[RemoteFile, ...]], gguf: bool) -> dict[str, tuple[RemoteFile, ...]]:
    return {f"{'GGUF ' if gguf else ''}{name} ({size_of(parts)})": parts for name, parts in files.items()}


NOTHING: dict[str, tuple[RemoteFile, ...]] = {NONE: ()}
LELM_CHOICES = {**_labelled(RELEASES, gguf=False), **_labelled(GGUF_LELM, gguf=True), **NOTHING}
CHOICES = {  # of combos for one part, by input
    "renderer_gguf": {**NOTHING, **_labelled(GGUF_RENDERER, gguf=True)},
    "vae_gguf": {**NOTHING, **_labelled(GGUF_VAE, gguf=True)},
}


def _part_input(name: str, what: str, why: str, more: bool = False) -> io.Boolean.Input:
    """A box for one part; `more` is for those that a song can do without."""
    tooltip = f"Download {what} ({size_of(PARTS[name])}), {why}."
    return io.Boolean.Input(name, default=not more, optional=more, tooltip=tooltip)


def _more_inputs() -> list[io.Input]:
    for_clips = "which LeVo Style from Audio needs in addition to the renderer's"
    styles = "for LeVo Style from Library; from the Space of the authors"
    return [
        _part_input("style_encoder", "the 1rvq file", for_clips, more=True),
        _part_input("separator", "HTDemucs", "for LeVo Split Vocals and LeVo Style from Audio", more=True),
        _part_input("styles", "the prompt library", styles, more=True),
        _small_input("renderer_gguf", "renderer", "What its matrices are rounded to is heard."),
        _small_input("vae_gguf", "vae", "It decodes and does not encode."),
        io.Combo.Input(
            "source",
            options=[PUBLISHED, *COPIES],
            default=PUBLISHED,
            optional=True,
            tooltip="Where files come from. A repository: files that it holds, and whose hash is "
            "known, come from there, and must be the same to the last bit. Mirrors of all of Hugging Face: "
            "HF_ENDPOINT.",
        ),
    ]


def _small_input(name: str, part: str, more: str) -> io.Combo.Input:
    return io.Combo.Input(
        name,
        options=list(CHOICES[name]),
        default=NONE,
        optional=True,
        tooltip=f"Download a small file in place of the released one; turn {part} off then. {more}",
    )


class LeVoDownloadModels(io.ComfyNode):
    """Downloads released files into models/levo."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoDownloadModels",
            display_name="LeVo Download Models",
            category="audio/LeVo/loaders",
            description="Downloads released files from Hugging Face into models/levo when it is run, and "
            f"keeps those that are there. {LICENCE.removesuffix('.')} ({LICENCE_PAGE}).",
            inputs=[
                io.Combo.Input(
                    "lelm",
                    options=list(LELM_CHOICES),
                    default=next(iter(LELM_CHOICES)),
                    tooltip="Which language model to download, with its config. One is enough to start."
                    + fits.download_hint(),
                ),
                _part_input("renderer", "the renderer", "which serves every LeLM"),
                _part_input("vae", "the VAE", "which serves every LeLM"),
                io.Boolean.Input(
                    "accept_licence",
                    default=False,
                    label_on="accepted",
                    label_off="needed: switch on",
                    tooltip=f"Tick it if you accept the licence on {LICENCE_PAGE}. {LICENCE}",
                ),
                *_more_inputs(),
            ],
            outputs=[
                io.String.Output(
                    display_name="report",
                    tooltip="What was downloaded or kept and where, a line for each file.",
                )
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, accept_licence: bool | None = None) -> bool | str:
        # None comes from another node: checked when it is known.
        return UNACCEPTED if accept_licence is False else True

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> float:
        # Equal to nothing, so that it always runs: files may have been deleted since.
        return float("nan")

    @classmethod
    def execute(
        cls, lelm: str, accept_licence: bool, source: str = PUBLISHED, **parts: bool | str
    ) -> io.NodeOutput:
        if not accept_licence:
            raise ValueError(UNACCEPTED)
        node_id, files = cls.hidden.unique_id, chosen_files(lelm, parts, source)
        report = report_of(hub.fetch(files, folders.folder(), Speedometer(node_id)))
        reporting.show_text(node_id, report)
        return io.NodeOutput(report, ui={"files": [reporting.text_file(report)]})


def chosen_files(lelm: str, parts: Mapping[str, bool | str], source: str = PUBLISHED) -> list[RemoteFile]:
    """The files that are wanted, where they are to come from.

    Args:
        lelm: label of a LeLM.
        parts: by input: whether a part is wanted, or a label of CHOICES.
        source: PUBLISHED, or a repository of copies.

    Raises:
        ValueError: there is none, or nothing of this name.
    """
    chosen = list(_choice("lelm", LELM_CHOICES, lelm))
    chosen += (file for part, files in PARTS.items() if parts.get(part) for file in files)
    for name, choices in CHOICES.items():
        chosen += _choice(name, choices, parts.get(name, NONE))
    if not chosen:
        raise ValueError(
            "LeVo Download Models has nothing to do; choose a lelm or tick one of the other parts."
        )
    repository = _choice("source", {PUBLISHED: "", **{name: name for name in COPIES}}, source)
    return [copy_in(repository, file) if repository else file for file in chosen]


def _choice(name: str, choices: Mapping[str, Choice], label: object) -> Choice:
    if not isinstance(label, str) or label not in choices:
        raise ValueError(f"LeVo Download Models has no {name} {shown(label)}; choose one of its list.")
    return choices[label]


class Speedometer:
    """The node's progress bar, Cancel, and a line of text with bytes and speed."""

    def __init__(self, node_id: str | None) -> None:
        self._node_id, self._bar = node_id, reporting.Progress()
        self._shown_at = time.monotonic()  # the last line
        self._before = 0  # bytes that were there then

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show bytes done and in all, and which file they are of."""
        self._bar(done, total)
        now = time.monotonic()
        if (seconds := now - self._shown_at) >= TEXT_SECONDS:
            speed = max(done - self._before, 0) / seconds
            self._shown_at, self._before = now, done
            text = f"{what}: {done / 1e9:.1f} of {total / 1e9:.1f} GB in all, {speed / 1e6:.0f} MB/s"
            reporting.show_text(self._node_id, text)


def report_of(fetched: Sequence[hub.Fetched]) -> str:
    """A line for each file, and what to do next."""
    lines = [f"{'Kept' if each.kept else 'Downloaded'} {each.path}" for each in fetched]
    lines.append("Press R, then choose the files in LeVo Load LeLM, Load Renderer and Load VAE.")
    return "\n".join([*lines, fits.hint(Kind.LELM).strip()]).strip()
