"""Songs composed in one batch: each is what it is alone, whatever its neighbours are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_models import GREEDY, WAYS, Ends, any_conditions, assert_same
from support.small_models import SMALL_LELM as SMALL
from support.small_models import filled
from torch import Tensor

from levo.config import EMPTY, Sampling
from levo.lelm.compose import BatchRun, Composition, Execution, compose
from levo.lelm.conditions import Conditions
from levo.lelm.model import LeLM
from levo.lelm.takes import SongInput
from levo.song.batches import (
    LIKE,
    BatchSong,
    batch_takes,
    compose_songs,
    group,
)
from levo.song.tokens import Composer, SongRequest, SongTokens

pytestmark = pytest.mark.usefixtures("inference")

COMPOSER = Composer("tiny", "v2", "0" * 64)


def texts(number: int, banned: tuple[int, ...] = ()) -> Conditions:
    """Conditions of their own for each number."""
    plain = any_conditions(SMALL, banned)
    return replace(plain, lyric=plain.lyric + 100 * number, style=plain.style + 50 * number)


def listed_song(number: int, frames: int = 14, seeds: tuple[int, ...] = (), banned: tuple[int, ...] = ()):
    """A song of a list."""
    request = SongRequest(f"song {number}", "", False)
    return BatchSong(request, texts(number, banned), frames, seeds or (10 * number,))


SONGS = [
    listed_song(1),
    listed_song(2, 12, (7, 8), (3, 4)),
    listed_song(3, 18, (1 << 63,), (5,)),
    listed_song(4, 13),
]


def alone(model: LeLM, song: BatchSong, how: Sampling, execution: Execution = Execution()):
    return compose(model, song.conditions, song.frames, how, song.seeds, execution=execution)


def in_batch(
    model: LeLM, songs: Sequence[BatchSong], how: Sampling, execution: Execution = Execution()
) -> list[Composition]:
    batch = [SongInput(song.conditions, song.frames, song.seeds) for song in songs]
    with BatchRun(model, batch, how, execution=execution) as run:
        while run.step():
            pass
        return run.result()


# What a song is alone ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exact() -> LeLM:
    # Another number of rows sums in another order, which in float64 moves no draw; see test_takes.
    return filled(LeLM(SMALL, dtype=torch.float64))


@pytest.mark.parametrize(("way", "small_cache"), [*((way, False) for way in WAYS), ("top_k", True)])
def test_each_song_of_a_batch_is_what_it_is_alone(exact: LeLM, way: str, small_cache: bool):
    execution = Execution(small_cache=small_cache)
    made = in_batch(exact, SONGS, WAYS[way], execution)
    alone_takes = [take for song in SONGS for take in alone(exact, song, WAYS[way], execution)]
    assert len(made) == 5
    for ours, theirs in zip(made, alone_takes, strict=True):
        assert_same(ours, theirs)
    assert len({tuple(take.raw[0, 0, :12].tolist()) for take in made}) > 3


def test_songs_go_on_from_codes_of_their_own(exact: LeLM):
    kept = [torch.arange(27).view(1, 3, 9) + 1000 * n for n in range(2)]
    songs = [SongInput(texts(n), 20 + n, (n,), kept[n]) for n in range(2)]
    with BatchRun(exact, songs) as run:
        while run.step():
            pass
        made = run.result()
    for song, ours in zip(songs, made, strict=True):
        (theirs,) = compose(exact, song.conditions, song.frames, seeds=song.seeds, kept=song.kept)
        assert_same(ours, theirs)


# Whatever its neighbours are -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lelm() -> LeLM:
    return filled(LeLM(SMALL))


def first_of(model: LeLM, how: Sampling, others: Sequence[BatchSong]) -> SongTokens:
    """The song under test, composed with others in a list of batches of four."""
    made, *_ = compose_songs(model, [listed_song(1), *others], 4, how, COMPOSER)
    assert isinstance(made, SongTokens)
    return made


NEIGHBOURS = {
    "none": [],
    "one": [listed_song(5)],
    "others": [listed_song(n, seeds=(9,), banned=(n,)) for n in (6, 7, 8)],
    "itself": [listed_song(1)] * 3,
    "of other limits": [listed_song(6, 1), listed_song(7, 20), listed_song(8, 25)],
}


@pytest.mark.parametrize("way", ["greedy", "all codes", "top_p"])
def test_no_code_of_a_song_depends_on_its_neighbours(lelm: LeLM, way: str):
    song = first_of(lelm, WAYS[way], [listed_song(2), listed_song(3), listed_song(4)])
    for name, others in NEIGHBOURS.items():
        assert torch.equal(song.codes, first_of(lelm, WAYS[way], others).codes), name


def test_logits_of_a_row_are_the_same_to_the_last_bit(lelm: LeLM, monkeypatch: pytest.MonkeyPatch):
    seen: list[list[Tensor]] = []
    forward = LeLM.forward

    def noting(self, codes, caches, prefix=None, run=None):
        out = forward(self, codes, caches, prefix) if run is None else forward(self, codes, caches, run=run)
        if prefix is None:
            seen[-1].append(out.unflatten(0, (2, -1))[:, 0].clone())
        return out

    monkeypatch.setattr(LeLM, "forward", noting)
    for others in NEIGHBOURS.values():
        seen.append([])
        first_of(lelm, GREEDY, others)
    one = seen[0]
    assert len(one) > 12
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=False))


def test_a_list_of_single_songs_is_composed_as_ever(lelm: LeLM):
    for song in SONGS:
        (made,) = compose_songs(lelm, [song], 1, Sampling(), COMPOSER)
        alone_tokens = SongTokens.of(
            alone(lelm, song, Sampling()), song.seeds, song.request, Sampling(), COMPOSER
        )
        assert torch.equal(made.codes, alone_tokens.codes)
        assert replace(made, codes=None) == replace(alone_tokens, codes=None)


def test_tokens_say_how_each_song_was_made(lelm: LeLM):
    songs = [listed_song(1, 20, (4, 5)), listed_song(2, 22, (6, 6))]
    made = compose_songs(lelm, songs, 3, GREEDY, COMPOSER)
    for song, tokens in zip(songs, made, strict=True):
        assert (tokens.request, tokens.seeds) == (song.request, song.seeds)
        assert (tokens.sampling, tokens.composer) == (GREEDY, COMPOSER)
        assert len(tokens.codes) == 2


# Ends and limits -----------------------------------------------------------------------------------------


def scripted(ends: tuple[int | None, ...], limits: tuple[int, ...]) -> tuple[Ends, BatchRun]:
    """Songs of one take that end at frames of their own, under way."""
    script = Ends(ends)
    songs = [SongInput(any_conditions(script.config), frames) for frames in limits]
    return script, BatchRun(script, songs, GREEDY)


def test_songs_end_each_in_its_time_and_at_its_limit():
    script, run = scripted((None, 4, None, 9), (30, 30, 6, 8))
    while run.step():
        pass
    takes = run.result()
    assert [take.codes.shape[2] for take in takes] == [30, 4, 6, 8]
    assert [take.ended for take in takes] == [False, True, False, False]
    assert [take.steps for take in takes] == [33, 7, 9, 11]
    assert [take.raw.shape[2] for take in takes] == [30, 30, 6, 8]
    assert all((take.codes != EMPTY).all() for take in takes)
    assert script.prefixes == 4


def test_a_batch_is_over_with_its_last_song():
    script, run = scripted((None, 4), (6, 100))
    while run.step():
        pass
    assert run.done < 20


def test_no_frame_beyond_a_songs_own_limit_is_told_under_way():
    _, run = scripted((None, None), (3, 12))
    while run.step():
        first, second = run.codes()
        assert first.shape[2] <= 3 and second.shape[2] == max(0, run.done - 3)


def test_a_song_without_a_frame_leaves_the_others():
    script = Ends((None, 0, 5, 5))
    songs = [replace(listed_song(n, 8), conditions=any_conditions(script.config)) for n in range(3)]
    first, second, third = compose_songs(script, songs, 4, GREEDY, COMPOSER)
    assert (first.lengths, third.lengths) == ((8,), (5,))
    assert isinstance(second, ValueError) and "before its first frame" in str(second)
    assert second.__traceback__ is None


def test_the_prefill_of_each_song_can_be_stopped(lelm: LeLM):
    reports: list[tuple[int, int]] = []
    compose_songs(lelm, SONGS[2:], 2, GREEDY, COMPOSER, on_step=lambda *now: reports.append(now))
    assert reports[:3] == [(0, 21), (1, 21), (2, 21)]


# What makes no batch -------------------------------------------------------------------------------------


def test_songs_that_would_not_go_the_same_steps_are_refused(lelm: LeLM):
    longer = replace(SMALL, lyric_length=9)
    with pytest.raises(ValueError, match="prefixes differ in length"):
        BatchRun(lelm, [SongInput(any_conditions(SMALL), 8), SongInput(any_conditions(longer), 8)])
    with pytest.raises(ValueError, match="different numbers of frames"):
        BatchRun(
            lelm,
            [
                SongInput(any_conditions(SMALL), 8),
                SongInput(any_conditions(SMALL), 8, kept=torch.zeros(1, 3, 2).long()),
            ],
        )


@pytest.mark.parametrize(
    "songs", [[], SONGS[:2], [listed_song(1)] * 3], ids=["none", "other takes", "too many"]
)
def test_what_is_no_batch_is_refused(lelm: LeLM, songs: list[BatchSong]):
    with pytest.raises(ValueError, match="A batch has 1 to 2 songs, all with the same number of takes"):
        compose_songs(lelm, songs, 2, GREEDY, COMPOSER)


# Batches of a list ---------------------------------------------------------------------------------------


def test_songs_of_equal_limits_are_taken_in_their_order():
    assert group([100] * 5, 2) == [[0, 1], [2, 3], [4]]


def test_songs_of_other_limits_are_not_kept_waiting():
    assert group([100, 1_000, 149, 900, 100, 4_000], 4) == [[0, 2, 4], [1, 3], [5]]


@given(st.lists(st.integers(1, 7_000), max_size=40), st.integers(1, 8))
def test_every_song_is_in_one_batch(frames: list[int], most: int):
    batches = group(frames, most)
    assert sorted(place for batch in batches for place in batch) == list(range(len(frames)))
    assert [batch[0] for batch in batches] == sorted(batch[0] for batch in batches)
    for batch in batches:
        assert 1 <= len(batch) <= most and batch == sorted(batch)
        limits = [frames[place] for place in batch]
        assert max(limits) <= LIKE * min(limits)


def test_rows_of_all_batches_are_the_same_even_number():
    assert [batch_takes(most, 1) for most in (1, 2, 3, 4)] == [1, 2, 4, 4]
    assert [batch_takes(most, 3) for most in (1, 2, 3)] == [3, 6, 10]
