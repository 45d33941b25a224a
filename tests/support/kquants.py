"""Blocks of GGUF's types, packed by hand as ggml lays them out, with the floats that they stand for."""

from __future__ import annotations

import numpy as np

SIZES = {"Q8_0": 32, "Q4_K": 256, "Q5_K": 256, "Q6_K": 256}  # numbers of a block
# The most that a number is off, in parts of the largest of its row: what this way of rounding makes.
ERROR = {"F32": 0.0, "F16": 1e-3, "Q8_0": 0.005, "Q6_K": 0.03, "Q5_K": 0.06, "Q4_K": 0.11}


def quantise(x: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of floats to bytes [rows, bytes], and the floats [rows, columns] that those are."""
    rows, columns = x.shape
    blocks = x.astype(np.float32).reshape(-1, SIZES[kind])
    make = {"Q8_0": _q8_0, "Q6_K": _q6_k, "Q5_K": _q5_k, "Q4_K": _q4_k}[kind]
    data, floats = make(blocks)
    return data.reshape(rows, -1), floats.reshape(rows, columns).astype(np.float32)


def _half(x: np.ndarray) -> np.ndarray:
    """A number a block as the two bytes of a half."""
    return x.astype(np.float16).reshape(-1, 1).view(np.uint8)


def _q8_0(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = (np.abs(x).max(1) / 127).astype(np.float16).astype(np.float32)
    q = np.clip(np.rint(x / np.where(d, d, 1)[:, None]), -127, 127).astype(np.int8)
    return np.concatenate([_half(d), q.view(np.uint8)], axis=1), q * d[:, None]


def _q6_k(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    groups = x.reshape(-1, 16, 16)
    scale = np.abs(groups).max(2) / 31
    d = (scale.max(1) / 127).astype(np.float16).astype(np.float32)
    s = np.rint(scale / np.where(d, d, 1)[:, None]).astype(np.int8)
    step = d[:, None, None] * s[:, :, None]
    q = np.clip(np.rint(groups / np.where(step, step, 1)), -32, 31).astype(np.int32)
    floats = step * q
    u = (q + 32).astype(np.uint8).reshape(-1, 2, 4, 32)  # halves, quarters of them, places
    low = np.concatenate(
        [u[:, :, 0] & 15 | (u[:, :, 2] & 15) << 4, u[:, :, 1] & 15 | (u[:, :, 3] & 15) << 4], 2
    )
    high = sum((u[:, :, k] >> 4) << (2 * k) for k in range(4)).astype(np.uint8)
    n = len(x)
    return np.concatenate([low.reshape(n, 128), high.reshape(n, 64), s.view(np.uint8), _half(d)], 1), floats


def _affine(x: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Head of a block of Q4_K or Q5_K, its numbers [blocks, 8, 32], and their floats."""
    groups = x.reshape(-1, 8, 32)
    least = np.maximum(-groups.min(2), 0)
    scale = (groups.max(2) + least) / most
    d = (scale.max(1) / 63).astype(np.float16).astype(np.float32)
    dmin = (least.max(1) / 63).astype(np.float16).astype(np.float32)
    s = np.clip(np.rint(scale / np.where(d, d, 1)[:, None]), 0, 63).astype(np.uint8)
    m = np.clip(np.rint(least / np.where(dmin, dmin, 1)[:, None]), 0, 63).astype(np.uint8)
    step, low = d[:, None, None] * s[:, :, None], dmin[:, None, None] * m[:, :, None]
    q = np.clip(np.rint((groups + low) / np.where(step, step, 1)), 0, most).astype(np.uint8)
    packed = np.zeros((len(x), 12), np.uint8)
    packed[:, 0:4] = s[:, :4] | (s[:, 4:] >> 4) << 6
    packed[:, 4:8] = m[:, :4] | (m[:, 4:] >> 4) << 6
    packed[:, 8:12] = s[:, 4:] & 15 | (m[:, 4:] & 15) << 4
    return np.concatenate([_half(d), _half(dmin), packed], axis=1), q, step * q - low


def _nibbles(q: np.ndarray) -> np.ndarray:
    return (q[:, 0::2] & 15 | (q[:, 1::2] & 15) << 4).reshape(len(q), 128)


def _q4_k(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    head, q, floats = _affine(x, 15)
    return np.concatenate([head, _nibbles(q)], axis=1), floats


def _q5_k(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    head, q, floats = _affine(x, 31)
    high = sum((q[:, j] >> 4) << j for j in range(8)).astype(np.uint8)
    return np.concatenate([head, high, _nibbles(q)], axis=1), floats
