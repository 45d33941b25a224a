"""The models of a process: loaded once; where memory is short, moved to the device one after the other."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..files import released
from ..files.checkpoint import CheckpointFile, reads_bytes
from ..files.damage import display_name
from ..files.gguf_file import GgufFile
from ..files.loading import load_weights, open_file
from ..files.tensor_file import CheckpointError
from ..kinds import Kind
from ..layers.choices import INT8
from ..lelm.compose import Execution
from ..lelm.cuda_graph import Resident
from ..lelm.fused import FusedBlocks
from ..lelm.model import LeLM, Run, plainly
from ..renderer.model import Renderer
from ..separator.model import build as build_htdemucs
from ..song.tokens import Composer, config_hash
from ..style_encoder.encode import StyleEncoder
from ..text.tokenizer import Tokenizer, Vocabulary
from ..vae.oobleck import Vae
from .job import AS_WEIGHTS, Engine
from .precision import Precision, audio_precision, device_of, lelm_precision, renderer_precision

log = logging.getLogger(__name__)

TINY = "tiny"  # in place of a file's name


@dataclass(frozen=True)
class Loaded:
    """A model with its weights."""

    model: Any
    config: Any
    name: str  # of the file, for people
    dtype: torch.dtype  # of what it computes


class Models:
    """All models that songs of a list need; they stay for as long as the process."""

    def __init__(self, engine: Engine):
        """Load them.

        Raises:
            ValueError: a file does not hold its model, or a choice cannot be met here.
        """
        files, self.engine = engine.files, engine
        if engine.threads:
            torch.set_num_threads(engine.threads)
        self.device = device_of(engine.device)
        self._home = torch.device("cpu") if engine.low_memory else self.device
        self.lelm, self.tokenizer = self._lelm(files.lelm)
        self.renderer = self._renderer(files.renderer)
        self.vae = self._vae(files.vae)
        self.encoders: tuple[Loaded, ...] = ()
        self.separator: Loaded | None = None
        if engine.encodes_clips:
            if self.vae.model.encoder is None:
                raise CheckpointError(
                    f"{self.vae.name} holds the VAE's decoder alone, and the list has prompt audio; give "
                    "--vae autoencoder_music_1320k.ckpt."
                )
            self.encoders = (
                self._encoder(Kind.TRACK_ENCODER, files.track_encoder),
                self._encoder(Kind.MIXED_ENCODER, files.style_encoder),
            )
            self.separator = self._separator(files.separator)

    @property
    def composer(self) -> Composer:
        """What tokens remember of LeLM."""
        return Composer(self.lelm.name, self.lelm.config.version, config_hash(self.lelm.config))

    def place(self, loaded: Loaded) -> torch.device:
        """Bring a model to the device, where memory is short in the place of all others."""
        if self.engine.low_memory and self.device.type != "cpu":
            for other in (self.lelm, self.renderer, self.vae, *self.encoders, self.separator):
                if other is not None and other is not loaded:
                    other.model.to("cpu")
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            loaded.model.to(self.device)
        return self.device

    def execution(self) -> Execution:
        """How LeLM's steps are run: on a CUDA card as graphs."""
        block = FusedBlocks() if self.engine.compiled else plainly
        residency = Resident() if self.device.type == "cuda" else None
        return Execution(residency, Run(block), self.engine.small_cache)

    def says(self) -> dict[str, str]:
        """Which weights there are and how they compute, for results; the device decides what `auto` is."""
        engine = self.engine
        return {
            "renderer": self.renderer.name,
            "vae": self.vae.name,
            "device": self.device.type,
            "dtype": engine.dtype,
            "renderer_dtype": engine.renderer_dtype,
            "vae_dtype": engine.vae_dtype,
            "attention": engine.attention,
            "cache": INT8 if engine.small_cache else AS_WEIGHTS,
        }

    def _lelm(self, path: Path | None) -> tuple[Loaded, Tokenizer]:
        file, config = open_file(Kind.LELM, path)
        vocabulary = _vocabulary(file, self.engine.files.vocabulary)
        precision = lelm_precision(self.engine.dtype, self.engine.attention, config.head_width, self.device)
        model = LeLM(
            config, precision.operations, precision.attention, device="meta", dtype=precision.dtype
        )
        loaded = self._filled(model, file, released.lelm_layout(config), config, precision)
        return loaded, _tokenizer(vocabulary, config.version)

    def _renderer(self, path: Path | None) -> Loaded:
        file, config = open_file(Kind.RENDERER, path)
        head_width = config.width // config.heads
        precision = renderer_precision(
            self.engine.renderer_dtype, self.engine.attention, head_width, self.device
        )
        model = Renderer(
            config, precision.operations, precision.attention, device="meta", dtype=precision.dtype
        )
        return self._filled(model, file, released.renderer_layout(config), config, precision)

    def _vae(self, path: Path | None) -> Loaded:
        file, config = open_file(Kind.VAE, path)
        precision, encodes = audio_precision(self.engine.vae_dtype), file is None or file.encodes
        model = Vae(config, precision.operations, encodes=encodes, device="meta", dtype=precision.dtype)
        return self._filled(model, file, released.vae_layout(config, encodes), config, precision)

    def _encoder(self, kind: Kind, path: Path | None) -> Loaded:
        file, config = open_file(kind, path)
        precision = audio_precision()
        model = StyleEncoder(
            config, precision.operations, precision.attention, device="meta", dtype=precision.dtype
        )
        return self._filled(model, file, released.style_encoder_layout(config), config, precision)

    def _separator(self, path: Path | None) -> Loaded:
        file, config = open_file(Kind.SEPARATOR, path)
        model = build_htdemucs(config, "meta")
        return self._filled(model, file, released.separator_layout(model), config, audio_precision())

    def _filled(
        self, model: nn.Module, file: Any, layout: Any, config: Any, precision: Precision
    ) -> Loaded:
        load_weights(model, file, layout, self._home)
        name = display_name(file.path) if file else TINY
        log.info("Loaded %s (%s, %s).", type(model).__name__, name, precision.dtype)
        return Loaded(model, config, name, precision.dtype)


def _vocabulary(file: CheckpointFile | None, folder: Path | None) -> Path | Vocabulary | None:
    """What LeLM reads texts by: a folder, else what its file holds; None for bytes.

    Raises:
        ValueError: there is none.
    """
    if file is None or reads_bytes(file):
        return None
    vocabulary = folder or (file.vocabulary() if isinstance(file, GgufFile) else None)
    if vocabulary is None:
        raise ValueError(
            f"There is no vocabulary (vocab.json and merges.txt) beside {display_name(file.path)}; "
            "download both files from https://huggingface.co/Qwen/Qwen2-7B and give their folder as "
            "--vocabulary."
        )
    return vocabulary


def _tokenizer(vocabulary: Path | Vocabulary | None, version: str) -> Tokenizer:
    try:
        return Tokenizer(vocabulary, version)
    except (OSError, ValueError) as error:
        where = f"in {vocabulary}" if isinstance(vocabulary, Path) else "of LeLM's file"
        raise ValueError(
            f"The vocabulary {where} cannot be read ({error}); give a folder with Qwen2's vocab.json and "
            "merges.txt as --vocabulary."
        ) from error
