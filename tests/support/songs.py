"""The prompt of a whole song on the tiny models, with changes, and what a finished run of it made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from support.comfy_server import ComfyServer, Run

PROMPT = Path(__file__).resolve().parents[1] / "prompts" / "text_to_song.json"
LISTEN_PROMPT = PROMPT.with_name("listen.json")
LYRICS, DESCRIPTION, CONDITIONING, COMPOSE, RENDER, DECODE, SAVE, ENDED, SECONDS = map(str, range(4, 13))
LISTEN = "13"
SAMPLE_RATE = 48_000
EXACT = {"dtype": "fp32"}  # for LeVo Load LeLM where it matters when the song of a seed ends


@dataclass(frozen=True)
class Song:
    """What a run of the prompt made."""

    sound: np.ndarray  # [samples, 2] float32
    rate: int
    format: str
    ended: bool  # the outputs of LeVo Compose
    seconds: float


def song_prompt(file: Path = PROMPT, **changes: dict[str, Any]) -> dict[str, Any]:
    """The prompt with inputs replaced: `compose={"seed": 2}` sets one input of LeVo Compose."""
    prompt = json.loads(file.read_text("utf-8"))
    nodes = {entry["class_type"].removeprefix("LeVo").lower(): entry for entry in prompt.values()}
    for name, inputs in changes.items():
        nodes[name]["inputs"].update(inputs)
    return prompt


def listen_prompt(**changes: dict[str, Any]) -> dict[str, Any]:
    """The same for a song whose mix, vocals, accompaniment and tokens go into LeVo Listen."""
    return song_prompt(LISTEN_PROMPT, **changes)


def in_one(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt with LeVo Song, and the VAE that lets it be heard, in place of Compose and Render."""
    compose, render = prompt[COMPOSE]["inputs"], prompt.pop(RENDER)["inputs"]
    names = {"seed": "render_seed", "steps": "render_steps", "guidance": "render_guidance"}
    rendering = {names.get(name, name): value for name, value in render.items() if name != "tokens"}
    prompt[COMPOSE] = {"class_type": "LeVoSong", "inputs": {**compose, **rendering}}
    prompt[COMPOSE]["inputs"]["vae"] = prompt[DECODE]["inputs"]["vae"]
    prompt[DECODE]["inputs"]["latent"] = [COMPOSE, 0]
    prompt[ENDED]["inputs"]["source"] = [COMPOSE, 2]
    prompt[SECONDS]["inputs"]["source"] = [COMPOSE, 3]
    return prompt


def saving(prompt: dict[str, Any], name: str, dtype: str = "as loaded") -> dict[str, Any]:
    """The prompt with LeVo Save Checkpoint behind LeVo Load LeLM; node "path" shows where the file lies."""
    loader = next(node for node, entry in prompt.items() if entry["class_type"] == "LeVoLoadLeLM")
    inputs = {"model": [loader, 0], "name": name, "dtype": dtype}
    save = {"class_type": "LeVoSaveCheckpoint", "inputs": inputs}
    return {**prompt, "save": save, "path": {"class_type": "PreviewAny", "inputs": {"source": ["save", 0]}}}


def choice_of(server: ComfyServer, path: Path) -> str:
    """How LeVo Load LeLM's list names a file."""
    info = server.get("/object_info/LeVoLoadLeLM")["LeVoLoadLeLM"]
    options = info["input"]["required"]["checkpoint"][1]["options"]
    return next(option for option in options if path.stem in option)


def make(server: ComfyServer, **changes: dict[str, Any]) -> tuple[Song, Run]:
    """Run the prompt with changes to its good end."""
    run = server.run(song_prompt(**changes))
    assert run.status == "success", run.error
    return song_of(server, run), run


def song_of(server: ComfyServer, run: Run) -> Song:
    """The song of a finished run of the prompt."""
    ended, seconds = (run.outputs[node]["text"][0] for node in (ENDED, SECONDS))
    sound, rate, container = sound_of(server, run)
    return Song(sound, rate, container, {"True": True, "False": False}[ended], float(seconds))


def sound_of(server: ComfyServer, run: Run, node: str = SAVE) -> tuple[np.ndarray, int, str]:
    """Samples, rate and format of the file that a SaveAudio node wrote."""
    (entry,) = run.outputs[node]["audio"]
    return sound_of_entry(server, entry)


def sound_of_entry(server: ComfyServer, entry: dict[str, str]) -> tuple[np.ndarray, int, str]:
    """Samples, rate and format of a file that a run's outputs name."""
    path = server.output_file(entry)
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return sound, rate, soundfile.info(path).format
