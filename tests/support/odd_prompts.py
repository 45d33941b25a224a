"""Prompts with the values of the pack `odd_values` (tests/comfy), and what comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.comfy_server import ComfyServer, Run
from support.sentences import assert_one_sentence

PACK = Path(__file__).resolve().parents[1] / "comfy" / "odd_values"
TINY = "tiny (built in, random weights: sounds like noise)"
SHORT = {"max_seconds": 2}
SETTINGS = {
    "trim": True,
    "silence_db": -60.0,
    "fade": "off",
    "fade_seconds": 2.0,
    "normalise": True,
    "loudness_lufs": -14.0,
    "limiter": True,
    "ceiling_db": -1.0,
}
Prompt = dict[str, Any]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def value(name: str) -> dict[str, Any]:
    return node("OddValue", name=name)


def refused(server: ComfyServer, prompt: Prompt, at: str) -> str:
    run = server.run(prompt, timeout=120)
    assert run.status == "error", run.outputs
    assert run.error["node_id"] == at, run.error["exception_message"]
    sentence = run.error["exception_message"].strip()
    assert_one_sentence(sentence)
    return sentence


def done(server: ComfyServer, prompt: Prompt) -> Run:
    run = server.run(prompt, timeout=120)
    assert run.status == "success", run.error
    return run


def save(source: str) -> dict[str, Any]:
    return node("SaveAudio", audio=[source, 0], filename_prefix="audio/odd")


def styling(audio: dict[str, Any]) -> Prompt:
    style = node("LeVoStyleFromAudio", style_encoder=["model", 0], audio=["in", 0], start=0.0, auto=False)
    style["inputs"]["separator"] = ["separator", 0]
    loaders = {
        "model": node("LeVoLoadStyleEncoder", septoken=TINY, one_rvq=TINY),
        "separator": node("LeVoLoadSeparator", checkpoint=TINY),
    }
    return {
        "in": audio,
        **loaders,
        "x": style,
        "out": save("x") | {"inputs": save("x")["inputs"] | {"audio": ["x", 1]}},
    }
