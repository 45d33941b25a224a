"""A step of decoding captured as a CUDA graph: launches cost more than arithmetic at a few rows.

Knows nothing of the step but that it keeps to its buffers and never waits for the device.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

import torch

log = logging.getLogger(__name__)


class Replay:
    """Runs a step as it is the first time with a shape, captures it the second time, then replays it."""

    def __init__(self, step: Callable[[], None]):
        self._step = step
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph | None] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._refused = False

    def __call__(self, shape: Hashable) -> None:
        """Take one step; `shape` names the shapes that it runs with."""
        if self._refused or shape not in self._graphs:
            self._graphs[shape] = None  # warms up what a capture must not start: libraries, workspaces
            self._step()
            return
        graph = self._graphs[shape] or self._capture(shape)
        if graph is None:
            self._step()
        else:
            graph.replay()

    def _capture(self, shape: Hashable) -> torch.cuda.CUDAGraph | None:
        """Capture without running; None where that is refused, once and for all."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool):
                self._step()
        except RuntimeError as error:
            log.warning("LeLM runs without a CUDA graph (%s).", str(error).splitlines()[0])
            self._refused = True
            return None
        self._graphs[shape] = graph
        return graph
