"""A golden file, and how its tensors are compared with ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from torch import Tensor


@dataclass(frozen=True)
class Result:
    """One compared tensor."""

    name: str
    error: float  # relative; for integers the share that differs
    limit: float

    @property
    def passed(self) -> bool:
        return self.error <= self.limit

    def __str__(self) -> str:
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict} {self.name}: error {self.error:.2e}, at most {self.limit:.0e}"


def close(name: str, ours: Tensor, golden: Tensor, limit: float) -> Result:
    """Largest difference in standard deviations of the golden tensor."""
    if ours.shape != golden.shape:
        return Result(f"{name} (shape {list(ours.shape)}, not {list(golden.shape)})", float("inf"), limit)
    return Result(name, float((ours - golden).abs().max() / golden.std()), limit)


def same(name: str, ours: Tensor, golden: Tensor) -> Result:
    if ours.shape != golden.shape:
        return Result(f"{name} (shape {list(ours.shape)}, not {list(golden.shape)})", float("inf"), 0)
    return Result(name, float((ours != golden).float().mean()), 0)


class GoldenFile:
    """Tensors and metadata of one file."""

    def __init__(self, path: Path):
        self.stem = path.stem
        with safe_open(path, "pt") as file:
            self.meta = file.metadata() or {}
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    @property
    def seed(self) -> int:
        return int(self.meta.get("seed", 0))


def alike(name: str, ours: Tensor, golden: Tensor, limit: float) -> Result:
    """Share of integers that differ."""
    return Result(name, same(name, ours, golden).error, limit)
