"""Songs made by small models: kinds, takes, styles, and that what is asked for alone decides them."""

from __future__ import annotations

import io
import json
import weakref
from pathlib import Path

import pytest
import soundfile
import torch
from support.listed_songs import song
from support.small_models import SMALL_LELM, filled
from torch import Tensor

from levo import tiny
from levo.command.job import BGM, FLAC24, MIXED, SEPARATE, VOCAL, Engine, SongOptions
from levo.command.make import FinishedSong, Order, SongMaker
from levo.command.models import Loaded, Models
from levo.command.sound_files import decoded
from levo.config import Sampling
from levo.lelm.model import LeLM

SECONDS = 0.4
ASKED = song("one", "Hello there")


@pytest.fixture(scope="module")
def models() -> Models:
    made = Models(Engine(device="cpu", encodes_clips=True, threads=1))
    made.lelm = Loaded(filled(LeLM(SMALL_LELM)), SMALL_LELM, "tiny", torch.float32)
    return made


def make(models: Models, order: Order = Order(ASKED), **options: object) -> FinishedSong:
    ((_, made),) = outcomes(models, [order], **options)
    if isinstance(made, Exception):
        raise made
    return made


def outcomes(
    models: Models, orders: list[Order], **options: object
) -> list[tuple[int, FinishedSong | Exception]]:
    asked = SongOptions(max_seconds=SECONDS, steps=1, guidance=1.0, **options)
    return list(SongMaker(models, asked).make(orders))


def test_a_song_is_sound_with_what_it_was_asked_to_be(models: Models):
    made = make(models, seed=7)
    (take,) = made.takes
    assert take.seconds == SECONDS
    assert list(take.files) == ["mix"]
    with soundfile.SoundFile(io.BytesIO(take.files["mix"])) as file:
        assert (file.title, file.frames) == ("one", SECONDS * 48_000)
        tags = json.loads(file.comment)
    assert (tags["lyrics"], tags["seed"], tags["checkpoint"]) == ("[verse] Hello there.", 7, "tiny")
    assert (tags["device"], tags["dtype"], tags["cache"]) == ("cpu", "auto", "as-weights")
    assert made.tokens.seeds == (7,)


def test_the_seed_decides_the_song(models: Models):
    first, again, other = (make(models, seed=seed) for seed in (1, 1, 2))
    assert first.takes == again.takes
    assert first.takes != other.takes


def test_takes_have_the_next_seeds_and_differ(models: Models):
    made = make(models, seed=3, takes=2)
    assert made.tokens.seeds == (3, 4)
    assert made.takes[0].files != made.takes[1].files


def test_with_little_memory_takes_are_rendered_one_by_one_and_the_same(models: Models):
    little = Models(Engine(device="cpu", low_memory=True, threads=1))
    little.lelm = models.lelm
    assert make(little, takes=2).takes == make(models, takes=2).takes


def test_kinds_are_the_tracks_of_one_song(models: Models):
    mixed, vocal = make(models, kind=MIXED), make(models, kind=VOCAL)
    assert torch.equal(mixed.tokens.codes, vocal.tokens.codes)
    assert list(vocal.takes[0].files) == ["vocals"]
    separate = make(models, kind=SEPARATE, format=FLAC24)
    mix, vocals, rest = (decoded(data)[0] for data in separate.takes[0].files.values())
    assert (mix - vocals - rest).abs().max() < 2**-22 * 3
    instrumental = make(models, kind=BGM)
    assert list(instrumental.takes[0].files) == ["accompaniment"]
    assert (instrumental.tokens.request.lyrics, instrumental.tokens.request.instrumental) == (".", True)


def test_a_style_of_a_library_and_one_of_sound_change_the_song(models: Models):
    greedy = Sampling(temperature=0.0)
    plain = make(models, sampling=greedy)
    library = make(models, Order(ASKED, style=tiny.style()), sampling=greedy)
    noise = torch.rand(48_000, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    clip = io.BytesIO()
    soundfile.write(clip, noise.numpy(), 48_000, format="WAV")
    heard = make(models, Order(ASKED, clip=clip.getvalue()), sampling=greedy)
    codes = [each.tokens.codes for each in (plain, library, heard)]
    assert not any(torch.equal(codes[a], codes[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert heard.takes[0].seconds == SECONDS  # what leads the song is not in it


def test_a_song_of_a_batch_does_not_depend_on_the_others(models: Models):
    one, two, three = (Order(song(name, name)) for name in ("one", "two", "three"))
    first, second = (dict(outcomes(models, orders, batch=2)) for orders in ([one, two], [three, one]))
    assert first[0].takes == second[1].takes
    assert first[0].takes != first[1].takes


def test_a_batch_makes_its_songs_without_the_one_that_cannot_be_made(models: Models):
    orders = [Order(ASKED, clip=b"no sound"), Order(ASKED), Order(song("two", "la la"))]
    made = dict(outcomes(models, orders, batch=4))
    assert isinstance(made[0], ValueError)
    assert [len(made[place].takes) for place in (1, 2)] == [1, 1]


def test_what_does_not_fit_is_noted(models: Models):
    notes = make(models, Order(song("one", "la " * 2_000))).notes
    assert any("the lyrics lost their end" in note for note in notes)


def test_a_limit_beyond_the_checkpoint_is_refused(models: Models):
    with pytest.raises(ValueError, match="--max-seconds 60 cannot be met: .* composes at most 48"):
        SongMaker(models, SongOptions(max_seconds=60))


def test_a_clip_that_is_no_sound_is_told(models: Models, tmp_path: Path):
    with pytest.raises(ValueError, match="no audio that libsndfile can read"):
        make(models, Order(ASKED, clip=b"no sound"))


def test_a_song_that_failed_holds_no_memory_while_the_next_is_made(
    models: Models, monkeypatch: pytest.MonkeyPatch
):
    held: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    def render(self: SongMaker, *_: object) -> None:
        alive.extend(tensor() is not None for tensor in held)
        large = torch.zeros(1_000)
        held.append(weakref.ref(large))
        try:
            raise RuntimeError("out of memory")
        except RuntimeError as error:
            raise ValueError("It is too large.") from error

    monkeypatch.setattr(SongMaker, "_rendered", render)
    made = outcomes(models, [Order(ASKED), Order(song("two", "la la"))], batch=2)
    assert [str(outcome) for _, outcome in made] == ["It is too large."] * 2
    assert alive == [False]
    assert [tensor() for tensor in held] == [None, None]
