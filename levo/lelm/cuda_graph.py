"""A step of decoding captured as a CUDA graph: launches cost more than arithmetic at a few rows.

Knows nothing of the step but that it keeps to its buffers and never waits for the device. A graph reads
weights where they lay when it was captured, so it is replayed only while they still lie there.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import torch

from ..config import first_line

log = logging.getLogger(__name__)


class Residency(Protocol):
    """Whether the weights that a step reads are all on the device."""

    def hold(self) -> Hashable | None:
        """Keep the weights where they are until `release`.

        Returns:
            What says where they lie: equal to an earlier answer if none has moved since. None if some are
                not on the device; then nothing is held.
        """

    def release(self) -> None:
        """Let the weights go again; work that was launched before is not disturbed."""


class Resident:
    """Weights that stay on the device for the whole run."""

    def hold(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Eager:
    """Runs a step as it is."""

    def __init__(self, step: Callable[[], None]):
        self._step = step

    def __call__(self, shape: Hashable) -> None:
        self._step()

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Captured:
    """A graph, and where the weights lay that it reads."""

    graph: torch.cuda.CUDAGraph
    place: Hashable


class Replay:
    """Runs a step as it is the first time with a shape, captures it the second time, then replays it.

    A step whose weights are not all on the device is run another way, as often as that is so.
    """

    def __init__(
        self,
        step: Callable[[], None],
        residency: Residency,
        otherwise: Callable[[], None],
        device: torch.device,
    ):
        """Start with nothing captured.

        Args:
            step: takes one step with weights that are on the device.
            residency: asked before each step.
            otherwise: takes one step with weights that may be elsewhere.
            device: that steps run on; it need not be the current one.
        """
        self._step, self._residency, self._otherwise = step, residency, otherwise
        self._captured: dict[Hashable, Captured] = {}
        self._warm: set[Hashable] = set()  # shapes that were run once
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream(device)
        self._refused: set[Hashable] = set()  # shapes that could not be captured

    def __call__(self, shape: Hashable) -> None:
        """Take one step; `shape` names the shapes that it runs with."""
        place = self._residency.hold()
        if place is None:
            self.close()
            self._otherwise()
            return
        try:
            self._take(shape, place)
        finally:
            self._residency.release()

    def close(self) -> None:
        """Give back what graphs hold."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some allocators complain of each tensor of a graph
            for captured in self._captured.values():
                captured.graph.reset()
        self._captured.clear()

    def _take(self, shape: Hashable, place: Hashable) -> None:
        if shape in self._refused or shape not in self._warm:
            self._warm.add(shape)  # starts what a capture must not start: libraries, workspaces
            self._step()
            return
        captured = self._captured.get(shape)
        if captured is None or captured.place != place:
            captured = self._capture(shape, place)
        if captured is None:
            self._step()
        else:
            captured.graph.replay()

    def _capture(self, shape: Hashable, place: Hashable) -> Captured | None:
        """Capture without running; None where that is refused, for the shape once and for all."""
        if shape in self._captured:  # then all were captured elsewhere
            self.close()
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        try:
            # Not torch.cuda.graph, which gives all cached memory back first: a song captures often.
            # The stream's device is the current one meanwhile, which is what a capture begins on.
            with torch.cuda.stream(self._stream):
                graph.capture_begin(self._pool, capture_error_mode="thread_local")
                try:
                    self._step()
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            if not self._refused:
                log.warning("LeLM runs without a CUDA graph (%s).", first_line(error))
            self._refused.add(shape)
            return None
        current.wait_stream(self._stream)
        self._captured[shape] = Captured(graph, place)
        return self._captured[shape]
