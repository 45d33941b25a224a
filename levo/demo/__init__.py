"""The built-in demo models: the released architecture, small, trained on songs of our own composer.

Their files lie beside this one, in the format of LeVo Save Checkpoint; tests/demo_models makes them.
"""

from __future__ import annotations

from pathlib import Path

from ..kinds import Kind

FILES = {Kind.LELM: "demo-lelm", Kind.RENDERER: "demo-renderer", Kind.VAE: "demo-vae"}


def path(kind: Kind) -> Path | None:
    """The file of a kind; None where there is no demo model of it."""
    name = FILES.get(kind)
    return Path(__file__).with_name(f"{name}.safetensors") if name else None
