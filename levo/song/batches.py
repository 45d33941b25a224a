"""Songs of a list composed together: which of them form a batch, and what each one of it becomes.

Knows no lists and no files, and nothing of rendering: a window of the renderer fills a card, so songs are
rendered one after the other, as ever. A step of LeLM reads all weights for however few rows, so that a step
of many songs costs little more than one of one song.

What a song becomes depends on no neighbour. Kernels choose by the number of rows how they sum, so a song of
a batch may differ in the last bits, and then in a draw, from the same song alone; therefore every batch of
a list has the same number of rows, the last and a single song too, and that number is even: MKL sums the
last rows of other numbers in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..config import Sampling
from ..lelm.compose import BatchRun, Execution
from ..lelm.conditions import Conditions
from ..lelm.model import LeLM
from ..lelm.takes import SongInput
from ..progress import OnStep, ignore
from .tokens import Composer, SongRequest, SongTokens

LIKE = 1.5  # the longest limit of a batch over its shortest: a song that is over still costs its steps


@dataclass(frozen=True)
class BatchSong:
    """A song to compose in a batch."""

    request: SongRequest
    conditions: Conditions  # what the checkpoint makes of the request; see `lelm.conditions.prepare`
    frames: int  # its limit
    seeds: tuple[int, ...]  # one a take


def group(frames: Sequence[int], most: int) -> list[list[int]]:
    """Which songs of a list to compose together; the same list gives the same batches.

    One checkpoint makes the prefixes of all songs equally long, so limits alone decide.

    Args:
        frames: the limit of each song.
        most: songs in a batch.

    Returns:
        Places in the list, in its order within a batch; batches in the order of their first songs. A song
        whose limit no other is like is alone.
    """
    batches: list[list[int]] = []
    for place in sorted(range(len(frames)), key=lambda place: (frames[place], place)):
        if not batches or len(batches[-1]) == most or frames[place] > LIKE * frames[batches[-1][0]]:
            batches.append([])
        batches[-1].append(place)
    return sorted(sorted(batch) for batch in batches)


def batch_takes(most: int, takes: int) -> int:
    """Takes that a batch computes, for `compose_bytes`: those that are wanted, and those that fill it up.

    Args:
        most: songs in a batch; with 1 songs are composed alone, as they are without batches.
        takes: of each song.
    """
    return takes if most == 1 else most * takes + most * takes % 2


def compose_songs(
    model: LeLM,
    songs: Sequence[BatchSong],
    most: int,
    sampling: Sampling,
    composer: Composer,
    device: torch.device | str = "cpu",
    execution: Execution = Execution(),
    on_step: OnStep = ignore,
) -> list[SongTokens | ValueError]:
    """Compose songs at once.

    Args:
        model: on `device` (or streaming to it).
        songs: a batch of `group`, all with the same number of takes.
        most: songs in a batch, the same for the whole list; what fewer songs leave free is filled up.
        sampling, composer: of all songs.
        device, execution: as for `ComposeRun`.
        on_step: called with (steps done, steps at most), at first with 0 for each song; may raise to stop.

    Returns:
        For each song what composing it gives, or the error that a song without a frame is.

    Raises:
        ValueError: the songs do not fit one batch.
        LogitsError: the model made numbers that are no logits, whichever song it was for.
    """
    takes = {len(song.seeds) for song in songs}
    if len(takes) != 1 or len(songs) > most:
        raise ValueError(f"A batch has 1 to {most} songs, all with the same number of takes.")
    inputs = [SongInput(song.conditions, song.frames, song.seeds) for song in songs]
    more = batch_takes(most, takes.pop()) - sum(len(song.seeds) for song in songs)
    inputs[-1] = replace(inputs[-1], seeds=songs[-1].seeds + songs[-1].seeds[-1:] * more)
    with BatchRun(model, inputs, sampling, device, execution=execution) as run:
        while run.step():
            on_step(run.done, run.total)
        compositions = iter(run.result())
    results: list[SongTokens | ValueError] = []
    for song in songs:
        of_song = [next(compositions) for _ in song.seeds]
        try:
            results.append(SongTokens.of(of_song, song.seeds, song.request, sampling, composer))
        except ValueError as error:
            results.append(error.with_traceback(None))
    return results
