"""What LeLM is asked for: lyric, style prompt and style text as ids, and their embeddings.

Row 0 carries the conditions, row 1 nothing; guidance runs both. Padding is embedded and attended, as in
the published model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..config import CODES, EMPTY, END, LYRIC_ROWS, PROMPT_FRAMES, STRUCTURE_ROWS, STYLE_ROWS, LelmConfig
from ..layers.operations import Operations
from ..text.style import null_text
from ..text.tokenizer import PAD, Tokenizer
from .codes import codes_of


@dataclass(frozen=True)
class Conditions:
    """Ids of both guidance rows, padded to the model's lengths; [2, ...] int64 on the CPU."""

    lyric: Tensor  # [2, lyric_length]
    structure: Tensor  # [2, lyric_length]: 0 before the first section tag, then the section's number
    prompt: Tensor  # [2, 3, 251]: END or EMPTY, then the codes of mixed, vocal, accompaniment
    style: Tensor  # [2, style_length]
    cut_lyric: str  # the end of the lyric that did not fit, "" if all fits
    cut_style: str

    @property
    def prompt_codes(self) -> Tensor:
        """Distinct codes of the mixed style prompt, which the mixed stream may not sing."""
        row = self.prompt[0, 0]
        return torch.unique(row[row < CODES])

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Ids of lyric, prompt and style, padding included."""
        return self.lyric.shape[1], self.prompt.shape[2], self.style.shape[1]

    def to(self, device: torch.device | str) -> Conditions:
        """The same with its ids on `device`."""
        ids = {name: getattr(self, name).to(device) for name in ("lyric", "structure", "prompt", "style")}
        return replace(self, **ids)


@dataclass(frozen=True)
class Prefix:
    """Embedded conditions: [2, prefix_length, width] for each stage."""

    stage1: Tensor
    stage2: Tensor


def song_text(lyric: str) -> str:
    """The lyric as generation sees it: every double space made single, in one pass."""
    return lyric.replace("  ", " ")


def _padded(ids: list[int], length: int, fill: int) -> list[int]:
    return ids[:length] + [fill] * (length - len(ids))


def _prompt_rows(codes: Tensor | None) -> Tensor:
    rows = torch.full((2, 3, PROMPT_FRAMES + 1), EMPTY)
    if codes is not None:
        rows[0, :, 0] = END
        rows[0, :, 1:] = codes.reshape(3, -1)[:, :PROMPT_FRAMES]
        rows[0, rows[0, :, 1] == EMPTY] = EMPTY  # a track without a prompt has no start mark either
    return rows


def prepare(
    lyric: str, style: str, prompt: Tensor | None, config: LelmConfig, tokenizer: Tokenizer
) -> Conditions:
    """Turn texts and prompt codes into ids.

    Args:
        lyric: strict lyric text, "." for an instrumental.
        style: style text with its markers (`text.style.conditioned`).
        prompt: style prompt codes [1, 3, T >= 250], or None.
        config: lengths and version.
        tokenizer: of the same version.

    Raises:
        ValueError: the prompt is shorter than 250 frames, or is none.
    """
    if prompt is not None:
        prompt = codes_of(prompt, "The style prompt")
        if len(prompt) != 1 or prompt.shape[2] < PROMPT_FRAMES:
            raise ValueError(
                f"The style prompt has {len(prompt)} x {prompt.shape[2]} frames; it needs {PROMPT_FRAMES} "
                "(10 seconds)."
            )
    sung, silent = tokenizer.lyric(lyric), tokenizer.lyric("")
    tags, null = tokenizer.style(style), tokenizer.style(null_text(style))
    length = config.lyric_length
    return Conditions(
        lyric=torch.tensor([_padded(t.ids, length, PAD) for t in (sung, silent)]),
        structure=torch.tensor([_padded(t.structure, length, 0) for t in (sung, silent)]),
        prompt=_prompt_rows(prompt),
        style=torch.tensor([_padded(t.ids, config.style_length, PAD) for t in (tags, null)]),
        cut_lyric=tokenizer.decode(sung.ids[length:]),
        cut_style=tokenizer.decode(tags.ids[config.style_length :]),
    )


class Conditioner(nn.Module):
    """The tables that embed conditions."""

    def __init__(self, config: LelmConfig, operations: Operations, **factory_kwargs: Any):
        super().__init__()
        width = config.width
        self.lyric = operations.Embedding(LYRIC_ROWS, width, **factory_kwargs)
        self.structure = operations.Embedding(STRUCTURE_ROWS, width, **factory_kwargs)
        self.style = operations.Embedding(STYLE_ROWS[config.version], width, **factory_kwargs)
        self.prompt = nn.ModuleList(
            operations.Embedding(CODES + 2, width, **factory_kwargs) for _ in range(3)
        )
        # One learned row for each stage.
        self.prompt_start = operations.Embedding(2, width, **factory_kwargs)

    def parts(self, conditions: Conditions) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Lyric, stage-1 prompt, stage-2 prompt and style, each [2, length, width]."""
        lyric = self.lyric(conditions.lyric) + self.structure(conditions.structure)
        mixed, vocal, accompaniment = (t(conditions.prompt[:, k]) for k, t in enumerate(self.prompt))
        starts = self.prompt_start(torch.arange(2, device=conditions.prompt.device))
        start1, start2 = (row.expand(2, 1, -1) for row in starts)
        prompt1 = torch.cat((start1, mixed), dim=1)
        prompt2 = torch.cat((start2, vocal + accompaniment), dim=1)
        return lyric, prompt1, prompt2, self.style(conditions.style)

    def forward(self, conditions: Conditions) -> Prefix:
        lyric, prompt1, prompt2, style = self.parts(conditions)
        return Prefix(torch.cat((lyric, prompt1, style), dim=1), torch.cat((lyric, prompt2, style), dim=1))
