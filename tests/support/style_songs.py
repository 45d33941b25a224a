"""The prompt of a song in the style of a clip, on the tiny models, and the clip."""

from __future__ import annotations

import wave
from typing import Any

import numpy as np

from support import songs
from support.comfy_server import ComfyServer

TINY = "tiny (built in, random weights: sounds like noise)"
NO_STYLE = "tiny (built in, random codes: stands for no style)"
CLIP, RATE, SECONDS = "clip.wav", 44_100, 14
LOAD, SEPARATOR, SPLIT, ENCODER, STYLE, HEARD = "load", "separator", "split", "encoder", "style", "heard"
VAE = "3"


def write_clip(server: ComfyServer, seconds: float = SECONDS, level: float = 0.4) -> None:
    """Mono, 16 bit: a tone that climbs, with noise beside it."""
    t = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(t))
    sound = level * (np.sin(2 * np.pi * (220 + 30 * np.floor(4 * t)) * t) + 0.2 * noise) / 2
    with wave.open(str(server.base / "input" / CLIP), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32_767).astype("<i2").tobytes())


def style_prompt(**changes: dict[str, Any]) -> dict[str, Any]:
    """The song prompt in the style of the clip, without tags; `style={"start": 2}` sets an input."""
    style = changes.pop("style", {})
    prompt = songs.song_prompt(**{"compose": {"max_seconds": 4}} | changes)
    del prompt[songs.DESCRIPTION], prompt[songs.CONDITIONING]["inputs"]["description"]
    nodes = {
        LOAD: ("LoadAudio", {"audio": CLIP}),
        SEPARATOR: ("LeVoLoadSeparator", {"checkpoint": TINY}),
        SPLIT: ("LeVoSplitVocals", {"separator": [SEPARATOR, 0], "audio": [LOAD, 0], "seed": 0}),
        ENCODER: ("LeVoLoadStyleEncoder", {"septoken": TINY, "one_rvq": TINY}),
        STYLE: (
            "LeVoStyleFromAudio",
            {
                "style_encoder": [ENCODER, 0],
                "audio": [LOAD, 0],
                "start": 0.0,
                "auto": False,
                "vocals": [SPLIT, 0],
            }
            | style,
        ),
        HEARD: ("SaveAudio", {"audio": [STYLE, 1], "filename_prefix": "audio/clip"}),
    }
    prompt |= {node: {"class_type": kind, "inputs": inputs} for node, (kind, inputs) in nodes.items()}
    prompt[songs.CONDITIONING]["inputs"]["style"] = [STYLE, 0]
    prompt[songs.RENDER]["inputs"] |= {"style": [STYLE, 0], "vae": [VAE, 0]}
    return prompt
