"""Inputs that several nodes share."""

from __future__ import annotations

from comfy_api.latest import io


def seed_input(tooltip: str, name: str = "seed") -> io.Int.Input:
    """A 64-bit seed with the editor's choice of what happens to it after a run."""
    return io.Int.Input(
        name, default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True, tooltip=tooltip
    )


def guidance_input(default: float, tooltip: str, name: str = "guidance") -> io.Float.Input:
    """The scale of classifier-free guidance."""
    return io.Float.Input(name, default=default, min=0.0, max=10.0, step=0.1, tooltip=tooltip)
