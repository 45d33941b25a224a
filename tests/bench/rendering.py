"""`make bench`: seconds of a flow step and of decoding, beside the published way of computing them.

Full width and random numbers; the flow with two of its sixteen layers. Both ways take turns, so that other
work on the machine slows both. On a CUDA card where there is one: there the flow is fp16, and the published
one float32 under autocast. Argument: rounds (3).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from statistics import median

import support.pack  # noqa: F401
import torch
from bench.models import copied
from bench.published_renderer import decode, flow_step
from bench.table import device, in_seconds, in_turns, machine, on_card, seconds, show, tf32
from torch import Tensor

from levo import tiny
from levo.config import RENDER_STEPS, RendererConfig, VaeConfig
from levo.renderer.model import TO_MAKE, Renderer
from levo.vae.chunks import decode_chunks
from levo.vae.oobleck import Vae

LAYERS, FRAMES, CHUNK = 2, 1_000, 128
LIMIT = 1e-3  # of the largest difference in standard deviations


def require_equal(name: str, ours: Tensor, reference: Tensor) -> None:
    error = float((ours - reference).abs().max() / reference.std())
    if not error < LIMIT:
        raise SystemExit(f"{name}: ours and the reference differ by {error:.1e} standard deviations.")


def flow_ways(dtype: torch.dtype = torch.float32) -> list[Callable[[], Tensor]]:
    """One step with both guidance rows, ours (its schedule is made before the loop) and the reference.

    Args:
        dtype: of our matrices; where it is not float32, autocast rounds the reference's to it.
    """
    exact = Renderer(RendererConfig(layers=LAYERS))
    tiny.init_weights(exact, device())
    renderer = copied(exact, Renderer(exact.config, device="meta", dtype=dtype))
    config = renderer.config
    codes = torch.arange(FRAMES, device=device())[None]
    rows = exact.condition(codes, codes + FRAMES)
    rows = torch.cat((rows, torch.zeros_like(rows)))
    marks = exact.mask(torch.full((2, FRAMES), TO_MAKE, device=device()))
    known, noisy = torch.zeros(2, FRAMES, config.latent), torch.randn(2, FRAMES, config.latent)
    known, noisy, moments = (x.to(device()) for x in (known, noisy, torch.full((2,), 0.3)))
    parts = [marks, known, rows, noisy]
    batch = torch.cat(parts, dim=2)
    schedule = renderer.flow.schedule(torch.full((RENDER_STEPS,), 0.3, device=device()), FRAMES)

    def ours() -> Tensor:
        batch[..., -config.latent :] = noisy
        return renderer.flow.step(batch, schedule, slice(3, 4))

    def published() -> Tensor:
        with nullcontext() if dtype == torch.float32 else torch.autocast(device().type, dtype):
            return flow_step(exact.flow, parts, moments)

    return [ours, published]


def published_chunks(vae: Vae, latents: Tensor) -> Tensor:
    """A window in the released chunks."""

    class Published:
        config = vae.config

        def decode(self, part: Tensor) -> Tensor:
            return decode(vae.decoder, part)

    return decode_chunks(Published(), latents)


def row(name: str, ways: Sequence[Callable[[], object]], rounds: int) -> list[str]:
    """A line of the table: seconds of our way and of the published one."""
    cases = {str(n): partial(seconds, way) for n, way in enumerate(ways)}
    ours, published = (median(times) for times in in_turns(cases, rounds).values())
    return [name, in_seconds(ours), in_seconds(published), f"{published / ours:.2f}x"]


def report(rounds: int) -> None:
    """Check that both ways agree, then measure and print the table."""
    ways = flow_ways()
    with tf32(False):
        require_equal("The flow", *(way() for way in ways))
    if on_card():
        ways = flow_ways(torch.float16)
    rows = [row(f"flow step, {LAYERS} layers, {FRAMES} frames, both rows", ways, rounds)]
    vae = Vae(VaeConfig())
    tiny.init_weights(vae, device())
    latents = torch.randn(1, vae.config.latent, FRAMES).to(device())
    chunk, short = latents[..., :CHUNK], latents[..., :8]
    with tf32(False):
        require_equal("The decoder", vae.decode(short), decode(vae.decoder, short))
    ways = [lambda: vae.decode(chunk), lambda: decode(vae.decoder, chunk)]
    rows.append(row(f"decoding {CHUNK} latents", ways, rounds))
    window = [lambda: decode_chunks(vae, latents, FRAMES), lambda: published_chunks(vae, latents)]
    rows.append(row("decoding a 40 s window, in one chunk and in released ones", window, 1))
    precision = "the flow in fp16, the decoder in fp32" if on_card() else "fp32"
    show(
        f"Rendering in seconds: {precision}, random weights; medians of {rounds} rounds, of the window "
        f"one; {machine()}",
        ["", "ours", "published", "x"],
        rows,
    )


def main() -> int:
    torch.manual_seed(0)
    with torch.inference_mode():
        report(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    return 0


if __name__ == "__main__":
    sys.exit(main())
