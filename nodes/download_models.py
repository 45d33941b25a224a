"""The node that downloads the released files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from comfy_api.latest import io

from ..levo.files import hub
from ..levo.files.catalogue import LICENCE, LICENCE_PAGE, RELEASES, RemoteFile
from ..levo.kinds import MODELS, Kind
from .host import folders, reporting

NONE = "none"
PARTS = {  # by input
    "renderer": Kind.RENDERER,
    "vae": Kind.VAE,
    "style_encoder": Kind.MIXED_ENCODER,
    "separator": Kind.SEPARATOR,
}
TEXT_SECONDS = 0.5  # between two lines of text on the node
UNACCEPTED = (
    f"LeVo Download Models runs when accept_licence is ticked; read the licence on {LICENCE_PAGE} first: "
    "research and education only, no commercial use."
)


def size_of(parts: Sequence[RemoteFile]) -> str:
    """The bytes of files together, for a reader."""
    return f"{sum(file.size for file in parts) / 1e9:.1f} GB"


def size_of_kind(kind: Kind) -> str:
    """The bytes of a kind's released files together, for a reader."""
    return size_of(MODELS[kind].published)


LELM_CHOICES = {**{f"{name} ({size_of(parts)})": parts for name, parts in RELEASES.items()}, NONE: ()}


def _part_input(name: str, what: str, more: bool = False) -> io.Boolean.Input:
    """A box for one part; `more` is for those that a song can do without."""
    return io.Boolean.Input(name, default=not more, optional=more, tooltip=f"Download {what}.")


def _more_inputs() -> list[io.Boolean.Input]:
    return [
        _part_input(
            "style_encoder",
            f"the 1rvq file ({size_of_kind(Kind.MIXED_ENCODER)}), which LeVo Style from Audio needs beside "
            "the renderer's",
            more=True,
        ),
        _part_input(
            "separator",
            f"HTDemucs ({size_of_kind(Kind.SEPARATOR)}), for LeVo Split Vocals and LeVo Style from Audio",
            more=True,
        ),
    ]


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
                    tooltip="Which language model to download, with its config. One is enough to start.",
                ),
                _part_input(
                    "renderer", f"the renderer ({size_of_kind(Kind.RENDERER)}), which serves every LeLM"
                ),
                _part_input("vae", f"the VAE ({size_of_kind(Kind.VAE)}), which serves every LeLM"),
                io.Boolean.Input(
                    "accept_licence",
                    default=False,
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
    def execute(cls, lelm: str, accept_licence: bool, **parts: bool) -> io.NodeOutput:
        if not accept_licence:
            raise ValueError(UNACCEPTED)
        node_id = cls.hidden.unique_id
        report = report_of(hub.fetch(chosen_files(lelm, parts), folders.folder(), Speedometer(node_id)))
        reporting.show_text(node_id, report)
        return io.NodeOutput(report)


def chosen_files(lelm: str, parts: Mapping[str, bool]) -> list[RemoteFile]:
    """The files of a LeLM, by its label, and of the parts that are wanted, by their inputs.

    Raises:
        ValueError: there is none.
    """
    kinds = [kind for part, kind in PARTS.items() if parts.get(part)]
    chosen = [*LELM_CHOICES[lelm], *(file for kind in kinds for file in MODELS[kind].published)]
    if not chosen:
        raise ValueError(
            "LeVo Download Models has nothing to do; choose a lelm or tick one of the other parts."
        )
    return chosen


class Speedometer:
    """The node's progress bar, Cancel, and a line of text with bytes and speed."""

    def __init__(self, node_id: str | None) -> None:
        self._node_id, self._bar = node_id, reporting.Progress()
        self._told, self._before = time.monotonic(), 0  # when the last line was shown, and the bytes then

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show bytes done and in all, and which file they are of."""
        self._bar(done, total)
        now = time.monotonic()
        if (seconds := now - self._told) >= TEXT_SECONDS:
            speed = max(done - self._before, 0) / seconds
            self._told, self._before = now, done
            text = f"{what}: {done / 1e9:.1f} of {total / 1e9:.1f} GB in all, {speed / 1e6:.0f} MB/s"
            reporting.show_text(self._node_id, text)


def report_of(fetched: Sequence[hub.Fetched]) -> str:
    """A line for each file, and what to do next."""
    lines = [f"{'Kept' if each.kept else 'Downloaded'} {each.path}" for each in fetched]
    return "\n".join(
        [*lines, "Press R, then choose the files in LeVo Load LeLM, Load Renderer and Load VAE."]
    )
