"""How errors tell that RAM ran out; what nodes then say is tested in a real ComfyUI."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from levo.memory import ran_out_of_ram

FAILED = "MKL FFT error: Intel oneMKL DFTI ERROR: Inconsistent configuration parameters"


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_transform_that_fails_where_others_succeed_ran_out_of_ram():
    assert ran_out_of_ram(RuntimeError(FAILED))
    assert ran_out_of_ram(RuntimeError("MKL FFT error: Intel MKL DFTI ERROR: Memory allocation error"))


def test_where_no_transform_succeeds_it_is_not_for_want_of_ram(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.fft, "rfft", raising(RuntimeError(FAILED)))
    assert not ran_out_of_ram(RuntimeError(FAILED))
    assert ran_out_of_ram(RuntimeError("std::bad_alloc"))


@pytest.mark.parametrize("error", [ValueError(FAILED), RuntimeError("FFT sizes differ"), KeyError("MKL")])
def test_other_errors_are_left_alone(error: Exception):
    assert not ran_out_of_ram(error)
