"""LeLM as the published code runs it, on the weights of one of our models: what ours is measured against.

One matrix for each projection, norms and attention written out, a causal mask and rotary tables made anew
on each call, keys and values joined to the past by copying both, logits of every position, and a look at
the device for each stream's last codes. It computes what ours computes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from levo.config import EMPTY, END, Sampling
from levo.lelm import delay
from levo.lelm.conditions import Conditions, Prefix
from levo.lelm.model import NORM_EPS, Block, LeLM, Stage

Past = dict[str, tuple[Tensor, Tensor]]  # "stage.layer" -> keys and values [rows, heads, T, head width]


def normalised(x: Tensor, weight: Tensor) -> Tensor:
    """RMS norm over the last dimension."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + NORM_EPS) * weight


def causal_mask(rows: int, past: int, count: int, device: torch.device) -> Tensor:
    """[rows, 1, count, past + count] to add to the scores: -inf where a position would see a later one."""
    mask = torch.full((count, past + count), -torch.inf, device=device).triu(past + 1)
    return mask.expand(rows, 1, -1, -1).clone()


def rotary_table(
    past: int, count: int, head_width: int, theta: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cosines and sines [count, head_width] of the positions after the first `past`."""
    frequencies = 1 / theta ** (torch.arange(0, head_width, 2, device=device).float() / head_width)
    angles = torch.arange(past, past + count, device=device).float()[:, None] * frequencies
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions on halves."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


class PublishedLayer:
    """One Llama layer; its matrices are views of a block's fused ones."""

    def __init__(self, block: Block, heads: int):
        self.heads = heads
        self.query, self.key, self.value = block.qkv.weight.chunk(3)
        self.gate, self.up = block.gate_up.weight.chunk(2)
        self.out, self.down = block.out.weight, block.down.weight
        self.norms = block.attention_norm.weight, block.mlp_norm.weight

    def __call__(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor, past: Past, name: str
    ) -> Tensor:
        x = x + self.attention(normalised(x, self.norms[0]), rotary, mask, past, name)
        y = normalised(x, self.norms[1])
        return x + F.linear(F.silu(F.linear(y, self.gate)) * F.linear(y, self.up), self.down)

    def attention(
        self, x: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor, past: Past, name: str
    ) -> Tensor:
        rows, count, width = x.shape
        query, key, value = (
            F.linear(x, weight).view(rows, count, self.heads, -1).transpose(1, 2)
            for weight in (self.query, self.key, self.value)
        )
        query, key = turned(query, *rotary), turned(key, *rotary)
        if name in past:
            key, value = (torch.cat(pair, dim=2) for pair in zip(past[name], (key, value), strict=True))
        past[name] = key, value
        scores = query @ key.transpose(2, 3) / (width // self.heads) ** 0.5 + mask
        seen = torch.softmax(scores, dim=-1) @ value
        return F.linear(seen.transpose(1, 2).reshape(rows, count, width), self.out)


class PublishedStage:
    """A stack of layers and a final norm."""

    def __init__(self, stage: Stage, name: str, heads: int):
        self.name, self.theta, self.head_width = name, stage.theta, stage.head_width
        self.layers = [PublishedLayer(block, heads) for block in stage.blocks]
        self.norm = stage.norm.weight

    def __call__(self, x: Tensor, past: Past, before: int) -> Tensor:
        rows, count, _ = x.shape
        rotary = rotary_table(before, count, self.head_width, self.theta, x.device)
        mask = causal_mask(rows, before, count, x.device)
        for number, layer in enumerate(self.layers):
            x = layer(x, rotary, mask, past, f"{self.name}.{number}")
        return normalised(x, self.norm)


class PublishedLeLM:
    """The language model on the weights of `model`, where they are."""

    def __init__(self, model: LeLM):
        self.model, self.config = model, model.config
        self.stage1 = PublishedStage(model.stage1, "1", model.config.heads)
        self.stage2 = PublishedStage(model.stage2, "2", model.config.heads)

    def __call__(
        self, codes: Tensor, past: Past, before: int, prefix: Prefix | None = None
    ) -> list[Tensor]:
        """Logits of all positions of this pass.

        Args:
            codes: [rows, 3, T] int64.
            past: keys and values, filled and grown; empty on the first call.
            before: positions in it.
            prefix: embedded conditions, on the first call.

        Returns:
            Of each stream, [rows, prefix + T, CODES + 1].
        """
        mixed, vocal, accompaniment = (table(codes[:, k]) for k, table in enumerate(self.model.codes))
        own1, own2 = mixed, vocal + accompaniment
        if prefix is not None:
            own1, own2 = torch.cat((prefix.stage1, own1), dim=1), torch.cat((prefix.stage2, own2), dim=1)
        hidden1 = self.stage1(own1, past, before)
        inner = F.gelu(self.model.bridge_in(torch.cat((own2, hidden1), dim=-1)))
        hidden2 = self.stage2(self.model.bridge_out(inner), past, before)
        hidden = (hidden1, hidden2, hidden2)
        return [head(h) for head, h in zip(self.model.heads, hidden, strict=True)]


def choose(logits: Tensor, placed: Tensor, step: int, banned: set[int], how: Sampling) -> Tensor:
    """[3] codes from the [2, 3, CODES + 1] logits of one position; `placed` [3, steps] holds the past."""
    conditional, null = logits
    logits = null + how.guidance * (conditional - null)
    for stream, row in zip(logits, placed, strict=True):
        recent = set(row[max(1, step - how.repetition_window) : step].tolist()) - {END, EMPTY}
        stream[list(recent)] /= how.repetition_divisor
    logits[0, list(banned)] = -torch.inf
    values, order = (logits[0] / how.temperature).topk(how.top_k)
    mixed = order[torch.multinomial(torch.softmax(values, dim=-1), 1)]
    return torch.cat((mixed, logits[1:].argmax(-1)))


def compose(
    model: PublishedLeLM,
    conditions: Conditions,
    frames: int,
    sampling: Sampling = Sampling(),
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Compose one song until all streams have ended; [3, frames] with END where a stream ended."""
    delays, device = model.config.delays, model.stage1.norm.device
    steps, active = delay.steps_for(frames, delays), delay.active(frames, delays).to(device)
    placed = torch.full((3, steps + 1), EMPTY, device=device)
    ended = torch.zeros(3, dtype=torch.bool, device=device)
    banned = set(conditions.prompt_codes.tolist())
    prefix, past, before = model.model.condition(conditions.to(device)), {}, 0
    for step in range(1, steps + 1):
        inputs = placed[:, step - 1 : step].expand(2, -1, -1)
        logits = model(inputs, past, before, prefix if step == 1 else None)
        before += logits[0].shape[1]
        last = torch.stack([stream[:, -1] for stream in logits], dim=1)
        codes = choose(last, placed, step, banned, sampling)
        placed[:, step] = torch.where(active[:, step] & ~ended, codes, EMPTY)
        ended |= placed[:, step] == END
        on_step(step, steps)
        if all(ended.tolist()):
            break
    return delay.undelay(placed, frames, delays)
