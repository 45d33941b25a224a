"""Songs of the built-in demo models, made as the nodes make them, for tests that listen to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from levo import demo
from levo.config import Sampling
from levo.files import released
from levo.files.loading import load_weights, open_file
from levo.kinds import Kind
from levo.lelm.compose import ComposeRun
from levo.lelm.conditions import prepare
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.song.decode import decode_song
from levo.song.stems import render_stems
from levo.text.lyrics import parse
from levo.text.style import conditioned, describe
from levo.text.tokenizer import Tokenizer
from levo.vae.oobleck import Vae

LIMIT = 1_500  # frames


@dataclass(frozen=True)
class DemoSong:
    """A song and its stems, each [2, samples] at 48 kHz, and how it was composed."""

    codes: np.ndarray  # [3, T]
    ended: bool
    mix: np.ndarray
    vocals: np.ndarray
    accompaniment: np.ndarray


@lru_cache(maxsize=1)
def models() -> tuple[LeLM, Renderer, Vae]:
    """The three demo models, in fp32."""
    return (
        _load(Kind.LELM, LeLM, released.lelm_layout),
        _load(Kind.RENDERER, Renderer, released.renderer_layout),
        _load(Kind.VAE, Vae, lambda config: released.vae_layout(config, True)),
    )


def _load(kind: Kind, build: Any, layout: Any) -> Any:
    file, config = open_file(kind, demo.path(kind))
    model: nn.Module = build(config, device="meta")
    load_weights(model, file, layout(config), "cpu")
    return model


def sing(lyrics: str, tags: str, seed: int = 0) -> DemoSong:
    """Make a song with the released settings."""
    lelm, renderer, vae = models()
    strict = parse(lyrics).text
    style = conditioned(describe(tags=tags), lelm.config.version, strict == ".")
    conditions = prepare(strict, style, None, lelm.config, Tokenizer(None, lelm.config.version))
    with torch.inference_mode():
        with ComposeRun(lelm, conditions, LIMIT, Sampling(), [seed]) as run:
            while run.step():
                pass
            (take,) = run.result()
        (stems,) = render_stems(renderer, [take.codes], "rendered", seed)
        sounds = (
            decode_song(vae, track)[0].numpy() for track in (stems.mix, stems.vocals, stems.accompaniment)
        )
        return DemoSong(take.codes[0].numpy(), take.ended, *sounds)
