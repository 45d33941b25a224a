"""What tests of compiled steps need: a compiler, and a count of the blocks that ran compiled."""

from __future__ import annotations

import shutil

import pytest

from levo.lelm.fused import FusedBlocks

compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")


class Counting(FusedBlocks):
    """Counts the blocks that ran compiled."""

    count = 0

    def _run(self, *arguments: object) -> None:
        super()._run(*arguments)
        self.count += 1
