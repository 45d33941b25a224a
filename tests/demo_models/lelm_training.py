"""Trains LeLM on code streams: the released delays, prefix and guidance dropout, cross-entropy.

The tables of 16,386 codes and 151,659 ids have few rows in use; all others share one. `SmallLeLM` holds
those rows alone, around the stages of the model itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from levo.config import CODES, EMPTY, END, LYRIC_ROWS, PROMPT_FRAMES, STRUCTURE_ROWS, STYLE_ROWS, LelmConfig
from levo.layers.attention import sdpa
from levo.lelm.conditions import Conditions, prepare
from levo.lelm.delay import delay
from levo.lelm.model import NORM_EPS, Stage, rotary_table
from levo.text.style import conditioned
from levo.text.tokenizer import Tokenizer

from . import codes, composer
from .vae_training import crop_seed

NULL_SHARE, PROMPT_SHARE, STRANGE_SHARE, MISLED_SHARE = 0.12, 0.1, 0.01, 0.5
MISLED_FRAMES = 40  # how long a wrong voice or band lasts, on average
IGNORED = -100  # of cross-entropy
PITCH_WAVES = 5  # a pitch as so many cosines: near pitches are alike
DECISIVE, DECISIVE_FRAMES = 25, 8  # the weight of a song's first frames
MELODY = 6  # the weight of a new note in the score: one code in ten, and the hardest to tell
BYTES = range(256)
SPECIALS = range(151_643, 151_659)


class Rows:
    """Which rows of a large table are in use."""

    def __init__(self, total: int, used: list[int]):
        self.used = torch.tensor(sorted({row for row in used if row < total}))
        self.place = torch.full((total,), len(self.used))  # of every row in the small table
        self.place[self.used] = torch.arange(len(self.used))
        self.count = len(self.used) + 1


def stream_codes() -> list[list[int]]:
    """Codes in use of the three streams."""
    notes = list(range(codes.VOCAL, codes.VOCAL + codes.NOTES))
    chords = list(range(codes.ACCOMPANIMENT, codes.ACCOMPANIMENT + codes.CHORD_FRAMES))
    return [
        list(range(codes.SCORES)),
        [codes.SILENT_VOCAL, *notes],
        [codes.SILENT_ACCOMPANIMENT, *chords],
    ]


class SmallLeLM(nn.Module):
    """The model with small tables; its tensors have the model's names."""

    def __init__(self, config: LelmConfig):
        super().__init__()
        width, texts = config.width, [*BYTES, *SPECIALS]
        self.config = config
        streams = stream_codes()
        self.rows = {
            "conditioner.lyric": Rows(LYRIC_ROWS, texts),
            "conditioner.style": Rows(STYLE_ROWS[config.version], texts),
            "conditioner.structure": Rows(STRUCTURE_ROWS, list(range(16))),
            **{f"conditioner.prompt.{k}": Rows(CODES + 2, [END, EMPTY]) for k in range(3)},
            **{f"codes.{k}": Rows(CODES + 2, [*streams[k], END, EMPTY]) for k in range(3)},
            **{f"heads.{k}": Rows(CODES + 1, [*streams[k], END]) for k in range(3)},
        }
        self.tables = nn.ParameterDict(
            {
                name.replace(".", "_"): nn.Parameter(torch.randn(rows.count, width) * 0.5)
                for name, rows in self.rows.items()
            }
        )
        self.prompt_start = nn.Parameter(torch.randn(2, width) * 0.5)
        self.stage1 = Stage(config, config.layers, config.rope_theta, nn, sdpa)
        self.stage2 = Stage(config, config.layers_sub, config.rope_theta_sub, nn, sdpa)
        self.bridge_in, self.bridge_out = nn.Linear(2 * width, width), nn.Linear(width, width)
        self._begin()

    def _begin(self) -> None:
        """Heads of the first layers look a few places back, by a channel that is always on."""
        with torch.no_grad():
            for k in range(3):
                self.tables[f"heads_{k}"].mul_(0.1)
            for stage, offsets in ((self.stage1, (1, 2, 3)), (self.stage2, (249, 246, 245))):
                for block in stage.blocks:
                    block.out.weight.mul_(0.5)
                    block.down.weight.mul_(0.5)
                for head, offset in enumerate(offsets):
                    look_back(stage, head, offset, self.config)
            for table in self.tables.values():
                if table.shape[0] > 3:
                    table[:, -1] = 1.0
            self._begin_melody()
            self.bridge_out.weight[-1] = 0
            self.bridge_out.bias[-1] = 1.0

    def _begin_melody(self) -> None:
        """The last head of the first layer looks at the latest new note and makes its pitch likely again.

        One channel of the width says which codes are new notes, the PITCH_WAVES before it of what pitch.
        """
        notes = torch.arange(codes.SUNG + codes.NEW, codes.LEFT)
        pitch = torch.from_numpy(codes.new_note_of(notes.numpy()))
        wave = torch.arange(1, PITCH_WAVES + 1)
        pitches = (torch.pi / codes.REGISTER * (pitch[:, None] + 0.5) * wave).cos()
        is_note, kept = -2, slice(-2 - PITCH_WAVES, -2)
        for name, table in self.tables.items():
            if not name.startswith("heads"):
                table[:, kept.start : -1] = 0
        in_codes, in_heads = (self.rows[name].place[notes] for name in ("codes.0", "heads.0"))
        self.tables["codes_0"][in_codes, is_note] = 1.0
        self.tables["codes_0"][in_codes, kept] = pitches
        self.tables["heads_0"][in_heads, kept] = pitches
        head, block = self.config.heads - 1, self.stage1.blocks[0]
        look_back(self.stage1, head, 0, self.config, channel=is_note)
        qkv = block.qkv.weight.view(3, self.config.heads, self.config.head_width, -1)  # type: ignore[operator]
        qkv[2, head, :PITCH_WAVES] = 0
        qkv[2, head, range(PITCH_WAVES), range(*kept.indices(self.config.width))] = 1.0
        start = head * self.config.head_width
        block.out.weight[kept, start : start + PITCH_WAVES] += torch.eye(PITCH_WAVES)  # type: ignore[operator]

    def look_up(self, name: str, ids: Tensor) -> Tensor:
        return F.embedding(self.rows[name].place[ids], self.tables[name.replace(".", "_")])

    def prefix(self, conditions: Conditions, row: int) -> tuple[Tensor, Tensor]:
        """Of both stages, each [prefix length, width], for one of the guidance rows."""
        lyric = self.look_up("conditioner.lyric", conditions.lyric[row])
        lyric = lyric + self.look_up("conditioner.structure", conditions.structure[row])
        mixed, vocal, band = (
            self.look_up(f"conditioner.prompt.{k}", conditions.prompt[row, k]) for k in range(3)
        )
        style = self.look_up("conditioner.style", conditions.style[row])
        first = torch.cat((lyric, self.prompt_start[:1], mixed, style))
        return first, torch.cat((lyric, self.prompt_start[1:], vocal + band, style))

    def forward(self, first: Tensor, second: Tensor, placed: Tensor) -> list[Tensor]:
        """Logits of the three streams after every step.

        Args:
            first, second: prefixes [B, prefix length, width] of both stages.
            placed: codes [B, 3, steps].

        Returns:
            for each stream [B, steps, rows in use + 1].
        """
        mixed, vocal, band = (self.look_up(f"codes.{k}", placed[:, k]) for k in range(3))
        hidden1 = run(self.stage1, torch.cat((first, mixed), dim=1))
        stage2_input = torch.cat((second, vocal + band), dim=1)
        bridged = self.bridge_out(F.gelu(self.bridge_in(torch.cat((stage2_input, hidden1), dim=-1))))
        hidden2 = run(self.stage2, bridged)
        start = first.shape[1]
        return [
            F.linear(hidden[:, start:], self.tables[f"heads_{k}"])
            for k, hidden in enumerate((hidden1, hidden2, hidden2))
        ]


def look_back(
    stage: Stage, head: int, offset: int, config: LelmConfig, channel: int = -1, strength: float = 3.0
) -> None:
    """Let a head of a first layer begin as one that looks so many places back, where a channel is on."""
    block, width = stage.blocks[0], config.head_width
    rates = stage.theta ** -(torch.arange(0, width, 2) / width)
    query = torch.cat(((offset * rates).cos(), -(offset * rates).sin()))
    key = torch.cat((torch.ones(width // 2), torch.zeros(width // 2)))
    weight = block.qkv.weight.view(3, config.heads, width, -1)  # type: ignore[operator]
    weight[:2, head] *= 0.1
    weight[0, head, :, -1], weight[1, head, :, channel] = strength * query, strength * key


def run(stage: Stage, x: Tensor) -> Tensor:
    """A stage over whole sequences [B, T, width], with gradients; the model's own works in place."""
    table = rotary_table(0, x.shape[1], stage.head_width, stage.theta, x)[:, :, None]
    for block in stage.blocks:
        h = F.rms_norm(x, x.shape[-1:], block.attention_norm.weight, NORM_EPS)
        qkv = block.qkv(h).unflatten(-1, (3, stage.heads, -1))
        turned = qkv[:, :, :2]
        partners = turned.unflatten(-1, (2, -1)).flip(-2).flatten(-2)
        query, key = (turned * table[:, 0, :, None] + partners * table[:, 1, :, None]).unbind(2)
        query, key, value = (part.transpose(1, 2) for part in (query, key, qkv[:, :, 2]))
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + block.out(attended.transpose(1, 2).flatten(2))
        gate, up = block.gate_up(F.rms_norm(x, x.shape[-1:], block.mlp_norm.weight, NORM_EPS)).chunk(2, -1)
        x = x + block.down(F.silu(gate) * up)
    return F.rms_norm(x, x.shape[-1:], stage.norm.weight, NORM_EPS)


@dataclass(frozen=True)
class Example:
    """A song as LeLM is taught it."""

    conditions: Conditions
    row: int  # of the conditions: 1 where nothing is told
    placed: Tensor  # [3, steps]
    targets: Tensor  # [3, steps] codes, IGNORED where nothing is asked
    weights: Tensor  # [3, steps] of the losses


class Examples:
    """Training songs by number."""

    def __init__(self, config: LelmConfig, first_seed: int, most_frames: int):
        self.config, self.first_seed, self.most_frames = config, first_seed, most_frames
        self.tokenizer = Tokenizer(None, config.version)

    def of(self, number: int) -> Example:
        """The example of a number; songs that are too long are passed over."""
        rng = crop_seed(self.first_seed, number)
        while True:
            song = composer.random_song(int(rng.integers(1 << 40)) + (1 << 20))
            if len(song.frames) <= self.most_frames:
                return self.example(song, rng)

    def example(self, song: composer.Song, rng: np.random.Generator) -> Example:
        prompt = None
        if rng.random() < PROMPT_SHARE:
            prompt = torch.full((1, 3, PROMPT_FRAMES), CODES - 1)
        sung = any(bar.line for bar in song.bars)
        style = conditioned(song.style.text, self.config.version, not sung)
        conditions = prepare(song.lyric, style, prompt, self.config, self.tokenizer)
        strange = torch.rand(conditions.lyric.shape) < STRANGE_SHARE
        conditions.lyric[strange] = 100_000  # a row that is not in use
        sequence = self._sequence(song.frames)
        targets = torch.where(sequence == EMPTY, IGNORED, sequence)
        row = int(rng.random() < NULL_SHARE)
        is_misled = row == 0 and rng.random() < MISLED_SHARE
        context = self._sequence(misled(song.frames, rng)) if is_misled else sequence
        weights = delay(decisive(song), self.config.delays)
        weights = torch.where(sequence == EMPTY, 0, weights).float().clamp(min=1)
        return Example(conditions, row, context[:, :-1], targets[:, 1:], weights[:, 1:])

    def _sequence(self, frames: codes.Frames) -> Tensor:
        """Codes of a song and its end, delayed, [3, T + 1 + the longest delay]."""
        ended = np.concatenate((frames.codes(), np.full((3, 1), END)), axis=1)
        return delay(torch.from_numpy(ended), self.config.delays)


def misled(frames: codes.Frames, rng: np.random.Generator) -> codes.Frames:
    """Frames in which voice and band are wrong for a while, here and there.

    Who hears them and is to go on with the right ones cannot copy what came before: voice and band are read
    from the tags in every frame of a song and not in its first alone.
    """
    count = len(frames)
    voice, band = np.cumsum(rng.random((2, count)) < 1 / MISLED_FRAMES, axis=1)
    turned = rng.integers(0, 2, count + 1)[voice] * codes.REGISTER
    other = rng.integers(0, len(codes.BANDS), count + 1)[band]
    pitch = np.where(frames.pitch < 0, frames.pitch, (frames.pitch + turned) % codes.PITCHES)
    return replace(frames, pitch=pitch, band=(frames.band + other) % len(codes.BANDS))


def decisive(song: composer.Song) -> Tensor:
    """How much frames and the end count, [3, T + 1]: what a song is like is decided in few places."""
    weights = torch.ones(3, len(song.frames) + 1, dtype=torch.long)
    weights[0, :-1][torch.from_numpy(codes.new_note_of(song.frames.codes()[0]) >= 0)] = MELODY
    weights[:, :DECISIVE_FRAMES] = DECISIVE
    for section in set(song.frames.section.tolist()):
        (sung,) = np.nonzero((song.frames.section == section) & (song.frames.pitch >= 0))
        if len(sung):
            weights[1, sung[0]] = 4 * DECISIVE
    return weights


def batch_losses(model: SmallLeLM, examples: list[Example]) -> list[Tensor]:
    """Cross-entropy of each stream over some songs."""
    steps = max(each.placed.shape[1] for each in examples)
    placed, targets, weights = (
        torch.stack([F.pad(row, (0, steps - row.shape[1]), value=fill) for row in rows])
        for rows, fill in (
            ([each.placed for each in examples], EMPTY),
            ([each.targets for each in examples], IGNORED),
            ([each.weights for each in examples], 0),
        )
    )
    prefixes = [model.prefix(each.conditions, each.row) for each in examples]
    first, second = (torch.stack(side) for side in zip(*prefixes, strict=True))
    losses = []
    for k, logits in enumerate(model(first, second, placed)):
        next_codes = targets[:, k]
        rows = model.rows[f"heads.{k}"]
        place = rows.place
        others = math.log(len(rows.place) - len(rows.used))  # so many codes have the last row's logit
        logits = torch.cat((logits[..., :-1], logits[..., -1:] + others), dim=-1)
        next_rows = torch.where(next_codes == IGNORED, IGNORED, place[next_codes.clamp(min=0)])
        each = F.cross_entropy(
            logits.flatten(0, 1), next_rows.flatten(), ignore_index=IGNORED, reduction="none"
        )
        weight = weights[:, k].flatten() * (next_rows.flatten() != IGNORED)
        losses.append((each * weight).sum() / weight.sum())
    return losses
