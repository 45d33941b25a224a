"""A whole song at full size, outside ComfyUI: composed, rendered, decoded."""

from __future__ import annotations

from bench.begun import between, random_conditions
from bench.gpu.report import Report
from bench.gpu.setting import LARGE, Setting
from bench.models import copied, endless, filled, random_model
from bench.table import clock
from support.short_runs import render_song

from levo.config import FRAME_RATE, SAMPLE_RATE
from levo.lelm.compose import compose
from levo.lelm.fused import FusedBlocks
from levo.renderer.model import Renderer
from levo.song.decode import decode_song
from levo.song.render import seeded_noise
from levo.vae.oobleck import Vae

MOST = 0.17  # seconds taken for a second of sound


def run(report: Report, setting: Setting) -> None:
    """Make the longest song with the large model: fp16, compiled, as graphs; the VAE in fp32."""
    device = setting.device
    lelm = endless(random_model(setting.lelm[LARGE], device, setting.dtype("fp16")))
    renderer = filled(Renderer(setting.renderer, device="meta"), device)
    renderer = copied(renderer, Renderer(setting.renderer, device="meta", dtype=setting.dtype("fp16")))
    vae = filled(Vae(setting.vae, device="meta"), device)
    frames, how = setting.seconds * FRAME_RATE, setting.graph(FusedBlocks())
    conditions = random_conditions(lelm.config)
    compiling = between(setting.begin(lelm, 1, how, frames), (0, 3))[1]
    times = [clock()]
    (song,) = compose(lelm, conditions, frames, device=device, execution=how)
    times.append(clock())
    noise = seeded_noise(0, 1, setting.renderer)
    latents = render_song(renderer, song.codes, noise, device=device)
    times.append(clock())
    sound = decode_song(vae, latents, device, chunk=setting.renderer.window)
    times.append(clock())
    composing, rendering, decoding = (b - a for a, b in zip(times, times[1:], strict=False))
    length = sound.shape[-1] / SAMPLE_RATE
    if length < setting.seconds or not bool(sound.isfinite().all()):
        report.fail("sound", f"{length:g} s, or numbers that are none")
    report.add("composing", composing, "s", note=f"{song.steps / composing:.1f} steps/s")
    report.add("rendering", rendering, "s")
    report.add("decoding", decoding, "s")
    whole = sum((composing, rendering, decoding))
    report.add(f"a song of {length:g} s", whole / length, "of real time", most=MOST)
    first = (whole + compiling) / length
    report.add("the first one of a process", first, "of real time", note=f"{compiling:.1f} s to compile")
