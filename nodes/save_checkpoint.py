"""The node that writes a loaded model as one file."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io

from ..levo.files import atomic, converted, names
from ..levo.files.catalogue import LICENCE
from ..levo.files.checkpoint import open_checkpoint
from ..levo.files.converted import Provenance
from ..levo.files.tensor_file import SAFETENSORS, sha256_of
from ..levo.kinds import MODELS
from .host import folders, reporting
from .host.precision import DTYPES
from .sockets import LelmSocket, LoadedLelm, LoadedModel, RendererSocket, VaeSocket

AS_LOADED = "as loaded"
SPARE = 100_000_000  # bytes that stay free on the disk


class LeVoSaveCheckpoint(io.ComfyNode):
    """Writes a loaded model as one safetensors file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LeVoSaveCheckpoint",
            display_name="LeVo Save Checkpoint",
            category="audio/LeVo/loaders",
            description="Writes a loaded model as one safetensors file that loads at once, with its config "
            f"and origin inside. {LICENCE}",
            inputs=[
                io.MultiType.Input(
                    "model",
                    [LelmSocket, RendererSocket, VaeSocket],
                    tooltip="From LeVo Load LeLM, LeVo Load Renderer or LeVo Load VAE.",
                ),
                io.String.Input(
                    "name",
                    default="my-model",
                    tooltip="Name of the new file in ComfyUI/models/levo, without ending; a/b puts it into "
                    "the folder a. A file that is there already is never overwritten.",
                ),
                io.Combo.Input(
                    "dtype",
                    options=[AS_LOADED, *DTYPES],
                    default=AS_LOADED,
                    tooltip="Number format of the matrices in the file. bf16 and fp16 take half the space "
                    "of fp32; what the loader rounded off does not come back.",
                ),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="Where the new file lies.")],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, model: LoadedModel, name: str, dtype: str) -> io.NodeOutput:
        path = free_path("LeVo Save Checkpoint", name, folders.folder())
        save(model, path, dtype)
        reporting.warn(cls.hidden.unique_id, f"Saved {path}.")
        return io.NodeOutput(str(path))


def free_path(node: str, name: str, folder: Path) -> Path:
    """Where a new file of this name belongs.

    Args:
        node: that asks, for messages.
        name: as the user gave it.
        folder: that the file may not leave.

    Raises:
        ValueError: no name, one that leaves the folder or that no disk can hold, or one that is taken.
    """
    path = names.file_below(node, name, folder, SAFETENSORS)
    if path.exists():
        raise ValueError(f"{node} found {path} there already; choose another name.")
    return path


def save(model: LoadedModel, path: Path, dtype: str) -> None:
    """Write a loaded model.

    Args:
        model: from a socket.
        path: of the new file.
        dtype: one of DTYPES, or AS_LOADED.

    Raises:
        ValueError: the disk is full or cannot be written, or a number does not fit the dtype.
    """
    number = DTYPES.get(dtype)
    module = model.patcher.model
    needed = sum(t.numel() * (number or t.dtype).itemsize for t in module.state_dict().values()) + SPARE
    atomic.require_space(path, needed)  # before the source is read for its hash
    origin = provenance(model.file)
    kind = next(kind for kind, known in MODELS.items() if known.config is type(model.config))
    by_bytes = isinstance(model, LoadedLelm) and model.tokenizer.reads_bytes
    vocabulary = converted.BYTES if by_bytes else ""
    converted.save(path, module, kind, model.config, origin, number, reporting.Progress(), vocabulary)


def provenance(file: Path | None) -> Provenance:
    """Where the weights of a file come from; a converted file says so itself."""
    if file is None:
        return Provenance("built-in tiny set, random weights", "")
    known = open_checkpoint(file).provenance
    return known or Provenance(f"{file.parent.name}/{file.name}", sha256_of(file, reporting.Progress()))
