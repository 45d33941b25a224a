"""Run golden files through our checkpoint loader and models: `make golden`.

Prints a line for each tensor with its error and PASS or FAIL; exit status 1 on any FAIL.
The format is described in golden/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from levo.config import CODES, RENDER_GUIDANCE, LelmConfig, RendererConfig, Sampling, VaeConfig
from levo.files import released
from levo.layers.attention import Attention, sdpa
from levo.lelm import conditions as lelm_conditions
from levo.lelm.compose import Composition, compose
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.renderer.solver import solve
from levo.renderer.windows import Windows
from levo.song.decode import decode_song
from levo.song.latents import SongLatents
from levo.song.render import Prompt
from levo.text.tokenizer import Tokenizer
from levo.vae.oobleck import Vae
from support import pack
from support.golden_encoder import run_clip, run_encoder, tone
from support.golden_file import GoldenFile, Result, close, same
from support.released import GOLDEN, named, released_tensors
from support.short_runs import render_windows

GREEDY = replace(Sampling(), temperature=0.0)


@cache
def tokenizer(version: str) -> Tokenizer:
    return Tokenizer(pack.tokenizer_dir(), version)


# Language model ------------------------------------------------------------------------------------------


def lelm_config(meta: dict[str, str]) -> LelmConfig:
    raw = json.loads(meta["config"])
    return LelmConfig(
        version=meta["version"],
        width=raw["dim"],
        inner=raw["inter"],
        heads=raw["heads"],
        layers=raw["layers"],
        layers_sub=raw["sub"],
        lyric_length=raw["desc_len"],
        style_length=raw["type_len"],
        max_seconds=raw["max_dur"],
        rope_theta=raw.get("rope", 100_000.0),
        delays=tuple(raw.get("delays", (0, 250, 250))),
    )


def build_lelm(file: GoldenFile, config: LelmConfig, attention: Attention = sdpa) -> LeLM:
    model, layout = LeLM(config, attention=attention), released.lelm_layout(config)
    tensors = released_tensors(model, layout, lambda name, shape: named(name, shape, file.seed))
    scales = [float(s) for s in file.meta.get("eos_row_scale", "1").split(",")]
    heads = ("transformer.lm_head.weight", "linears.0.weight", "linears.1.weight")
    for k, head in enumerate(heads):
        tensors[head][CODES] *= scales[k % len(scales)]
        if f"end_row.{k}" in file.tensors:
            tensors[head][CODES] = file.tensors[f"end_row.{k}"]
    files = {f"audiolm.{name}": tensor for name, tensor in tensors.items()}
    released.load(model, lambda: files, layout)
    return model


def run_prefix(file: GoldenFile, model: LeLM, conditions: lelm_conditions.Conditions) -> Iterator[Result]:
    lyric, prompt1, prompt2, style = model.conditioner.parts(conditions)
    for name, part in (
        ("description.stage1", lyric),
        ("prompt_audio.stage1", prompt1),
        ("prompt_audio.stage2", prompt2),
        ("type_info.stage1", style),
    ):
        if f"prefix.{name}" in file.tensors:
            yield close(f"prefix.{name}", part[:, ::7], file.tensors[f"prefix.{name}"], 3e-4)


def run_probe(file: GoldenFile, model: LeLM, conditions: lelm_conditions.Conditions) -> Iterator[Result]:
    if "probe.sequence" not in file.tensors:
        return
    prefix = model.condition(conditions)
    sequence = file.tensors["probe.sequence"].expand(2, -1, -1)
    caches = model.caches(2, model.config.prefix_length + sequence.shape[2], prefix.stage1)
    for step in range(sequence.shape[2]):
        logits = model(sequence[:, :, step : step + 1], caches, prefix if step == 0 else None)
        if step == 0 and "probe.logits.step0.top" in file.tensors:
            golden = file.tensors["probe.logits.step0.top"]
            yield same("probe.logits.step0.top", logits.topk(golden.shape[-1]).indices, golden)
    yield close("probe.logits", logits, file.tensors["probe.logits"], 3e-4)


def song_conditions(file: GoldenFile, config: LelmConfig) -> tuple[lelm_conditions.Conditions, int]:
    """What the song of a file is asked to be, and its limit in frames."""
    lyric, style = lelm_conditions.song_text(file.meta["lyric"]), file.meta["style"]
    text, frames = tokenizer(config.version), round(float(file.meta["seconds"]) * 25)
    return lelm_conditions.prepare(lyric, style, file.tensors.get("prompt"), config, text), frames


def run_lelm(file: GoldenFile) -> Iterator[Result]:
    config = lelm_config(file.meta)
    model, text = build_lelm(file, config), tokenizer(config.version)
    lyric, style, prompt = file.meta["lyric"], file.meta["style"], file.tensors.get("prompt")
    as_it_stands = lelm_conditions.prepare(lyric, style, prompt, config, text)
    yield from run_prefix(file, model, as_it_stands)
    yield from run_probe(file, model, as_it_stands)
    (song,) = sing(file, model)
    yield from run_song_tokens(file, song)


def sing(file: GoldenFile, model: LeLM, **how: Any) -> list[Composition]:
    """Compose the file's song; `how` goes to `compose`."""
    conditions, frames = song_conditions(file, model.config)
    return compose(model, conditions, frames, GREEDY, run_out=True, **how)


def run_song_tokens(file: GoldenFile, song: Composition) -> Iterator[Result]:
    yield same("tokens", song.codes, file.tensors["tokens"])
    if "raw" in file.tensors:
        yield same("raw", song.raw, file.tensors["raw"])
    if "steps" in file.tensors:
        yield same("steps", torch.tensor(song.steps), file.tensors["steps"])


def run_tokens(path: Path) -> Iterator[Result]:
    golden = json.loads(path.read_text(encoding="utf-8"))
    for version in ("v1", "v2"):
        text = tokenizer(version)
        if f"null_{version}" in golden:
            yield Result(f"null_{version}", float(text.lyric("").ids != golden[f"null_{version}"]), 0)
        for name, case in golden["lyrics"].get(version, {}).items():
            tokens = text.lyric(case["text"])
            right = (tokens.ids, tokens.structure) == (case["ids"], case["structure"])
            yield Result(f"lyrics.{version}.{name}", float(not right), 0)
        for name, case in golden["styles"].get(version, {}).items():
            yield Result(f"styles.{version}.{name}", float(text.style(case["text"]).ids != case["ids"]), 0)


# Renderer and VAE ----------------------------------------------------------------------------------------


def build_renderer(file: GoldenFile) -> Renderer:
    config = RendererConfig(layers=int(file.meta["n_layer"]))
    model, layout = Renderer(config), released.renderer_layout(config)
    files = released_tensors(model, layout, lambda n, s: named(n, s, file.seed))
    released.load(model, lambda: files, layout)
    return model


def vae_config(meta: dict[str, str]) -> VaeConfig:
    side = json.loads(meta["config"])["model"]["decoder"]["config"]
    return VaeConfig(
        channels=side["channels"], multiples=tuple(side["c_mults"]), strides=tuple(side["strides"])
    )


def build_vae(config: VaeConfig, seed: int) -> Vae:
    model, layout = Vae(config), released.vae_layout(config)
    files = released_tensors(model, layout, lambda n, s: named(n, s, seed))
    released.load(model, lambda: files, layout)
    return model


def run_renderer(file: GoldenFile) -> Iterator[Result]:
    model, config = build_renderer(file), RendererConfig()
    x = named("estimator.x", (2, 24, config.width), file.seed)
    out = model.flow(x, torch.tensor([0.0, 0.35]))
    yield close("estimator.out", out, file.tensors["estimator.out"], 1e-4)
    vocal, accompaniment = file.tensors["codes.vocal"][0], file.tensors["codes.bgm"][0]
    for name, quantizer, codes in (
        ("vocal", model.vocal, vocal),
        ("bgm", model.accompaniment, accompaniment),
    ):
        decoded = quantizer(codes).transpose(1, 2)
        yield close(f"dequantized.{name}", decoded, file.tensors[f"dequantized.{name}"], 1e-4)
    frames = vocal.shape[1]
    noise = named("noise.x", (1, frames, config.latent), file.seed)
    context = named("incontext.x", (1, frames, config.latent), file.seed)
    for name in sorted(n for n in file.tensors if n.startswith("latents.")):
        # latents.incontextN.cfgG.stepsS, where G has a point of its own
        known, rest = name.removeprefix("latents.incontext").split(".cfg")
        guidance, steps = rest.split(".steps")
        start = model.normalise(context[:, : int(known)])
        condition = model.condition(vocal, accompaniment)
        latents = model.denormalise(solve(model, condition, noise, start, int(steps), float(guidance)))
        yield close(name, latents.transpose(1, 2), file.tensors[name], 2e-4)


def run_vae(file: GoldenFile) -> Iterator[Result]:
    config = vae_config(file.meta)
    model = build_vae(config, file.seed)
    frames = file.tensors["decoded"].shape[2] * 3 // config.ratio
    decoded = model.decode(named("latent.x", (1, config.latent, frames), file.seed))
    yield close("decoded", decoded[..., ::3], file.tensors["decoded"], 1e-3)
    samples = file.tensors["encoded.mean"].shape[2] * config.ratio
    mean, scale = model.encode(named("wav.x", (1, config.audio_channels, samples), file.seed) * 0.2)
    yield close("encoded.mean", mean, file.tensors["encoded.mean"], 1e-3)
    yield close("encoded.scale_raw", scale, file.tensors["encoded.scale_raw"], 1e-3)


def known_prompt(file: GoldenFile, vae: Vae) -> Prompt:
    """The style prompt of a `song_prompt` file.

    Random weights give its latents a deviation of 126, and float32 a rounding of 2e-4 of that, twice the
    published code's own: too much of the limit for the windows after it. So it is encoded in float64.
    """
    vocal, accompaniment = (file.tensors[f"prompt.codes.{name}"][:, 0] for name in ("vocal", "bgm"))
    sound = tone("vocal", 10) + tone("accompaniment", 10)
    mean, _ = deepcopy(vae).double().encode(sound.double())
    return Prompt(vocal, accompaniment, mean.transpose(1, 2).float())


def run_song(file: GoldenFile, vae: Vae) -> Iterator[Result]:
    model, config = build_renderer(file), RendererConfig()
    streams = (file.tensors["codes.vocal"], file.tensors["codes.bgm"])
    prompt = known_prompt(file, vae) if "prompt.codes.vocal" in file.tensors else None

    def noise(window: int) -> Tensor:
        return named(f"noise.window{window}.x", (1, config.window, config.latent), file.seed)

    vocal, accompaniment = (stream[:, 0] for stream in streams)
    frames, lead = vocal.shape[1], None
    if prompt is not None:
        vocal = torch.cat((prompt.vocal, vocal), dim=1)
        accompaniment = torch.cat((prompt.accompaniment, accompaniment), dim=1)
        lead = prompt.latents
        golden = file.tensors["prompt.latents.every4"]
        yield close("prompt.latents.every4", lead.transpose(1, 2)[..., ::4], golden, 3e-4)
    steps = int(file.meta["steps"])
    full = render_windows(model, vocal, accompaniment, noise, steps, RENDER_GUIDANCE, lead)
    for number, (start, end) in enumerate(Windows.over(vocal.shape[1], config).spans()):
        name = f"latents.window{number}.every4"
        yield close(name, full[:, start:end].transpose(1, 2)[..., ::4], file.tensors[name], 3e-4)
    latents = SongLatents.cut(full, frames, 0 if lead is None else lead.shape[1], config)
    audio = decode_song(vae, latents)
    lost = int(file.tensors["samples"]) - audio.shape[2]
    yield Result("samples", float(lost not in (0, -1)), 0)
    golden = file.tensors["audio.every64"]
    yield close("audio.every64", audio[0, :, ::64][:, : golden.shape[1]], golden, 5e-3)


# ---------------------------------------------------------------------------------------------------------


def run_file(path: Path, folder: Path) -> Iterator[Result]:
    """Compare everything in one golden file."""
    if path.name == "tokens.json":
        yield from run_tokens(path)
    elif path.stem.startswith("lelm_"):
        yield from run_lelm(GoldenFile(path))
    elif path.stem.startswith("renderer"):
        yield from run_renderer(GoldenFile(path))
    elif path.stem.startswith("vae"):
        yield from run_vae(GoldenFile(path))
    elif path.stem.startswith("encoder_clip"):
        yield from run_clip(GoldenFile(path))
    elif path.stem.startswith("encoder"):
        yield from run_encoder(GoldenFile(path))
    else:
        file = GoldenFile(path)
        own = folder / "vae.safetensors"  # songs use its sizes, with the song's own seed
        vae = GoldenFile(own if own.exists() else GOLDEN / own.name)
        yield from run_song(file, build_vae(vae_config(vae.meta), file.seed))


def files_in(folder: Path) -> list[Path]:
    """Golden files of the folder."""
    prefixes = ("lelm_", "renderer", "vae", "song_", "encoder")
    files = [p for p in sorted(folder.glob("*.safetensors")) if p.stem.startswith(prefixes)]
    tokens = folder / "tokens.json"
    return files + ([tokens] if tokens.exists() else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=GOLDEN)
    folder = parser.parse_args().folder
    files, failed = files_in(folder), 0
    if not files:
        print(f"There are no golden files in {folder}.")
        return 1
    if not pack.tokenizer_dir().is_dir():
        print(f"There is no ComfyUI in {pack.comfyui_dir()}; run this with the Python of make -s python.")
        return 1
    with torch.inference_mode():
        for path in files:
            for result in run_file(path, folder):
                failed += not result.passed
                print(f"{path.stem}: {result}", flush=True)
    print(f"{failed} failed" if failed else "all passed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
