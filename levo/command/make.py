"""A song of a list to the bytes of its files: style, codes, latents, sound, one after the other.

Knows nothing of folders and results, nor of which song comes next.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..audio.sound import Sound
from ..batch.song_list import Song
from ..config import FRAME_RATE, SAMPLE_RATE, RenderSettings
from ..lelm.conditions import prepare, song_text
from ..memory import chunk_frames, decode_bytes
from ..progress import OnStep, ignore
from ..separator.split import split
from ..song.batches import BatchSong, compose_songs
from ..song.decode import decode_song
from ..song.latents import SongLatents, Track
from ..song.render import Prompt, render_songs, seeded_noise, style_prompt
from ..song.stems import Stems, decode_stems, decode_track, render_stems, tracks_in
from ..song.tokens import SongRequest, SongTokens, seeds_from
from ..style_encoder.clip import Recording, both_stems, choose
from ..style_encoder.encode import encode_style
from ..text.style import conditioned
from .job import BGM, SEPARATE, TRACK, SongOptions
from .models import Models
from .sound_files import GENRE, LYRICS, SEED, TITLE, decoded, encoded

NO_WORDS = "."
CUT_SHOWN = 80  # characters of text that did not fit
Watch = Callable[[str], OnStep]  # what is done now -> where it says how far it is


def unwatched(what: str) -> OnStep:
    """Tell nobody."""
    return ignore


@dataclass(frozen=True)
class Order:
    """A song to make, with what its style comes from."""

    song: Song
    clip: bytes | None = None  # a sound file: prompt audio
    style: Tensor | None = None  # codes [1, 3, 250] out of a library


@dataclass(frozen=True)
class Take:
    """A take of a song as files."""

    seconds: float
    files: dict[str, bytes]  # by track, the one that the song is heard by first


@dataclass(frozen=True)
class FinishedSong:
    """All takes of a song that have a frame."""

    tokens: SongTokens
    takes: tuple[Take, ...]
    notes: tuple[str, ...]  # sentences on what was left out
    models: dict[str, str]  # that rendered it, by kind, and how all models compute


@dataclass(frozen=True)
class StylePrompt:
    """A style of sound: codes, and the tracks of the clip that they are of."""

    codes: Tensor  # [1, 3, 250]
    vocals: Tensor | None = None  # [1, 2, samples] at 48 kHz
    accompaniment: Tensor | None = None


class SongMaker:
    """Makes songs with models that are loaded."""

    def __init__(self, models: Models, options: SongOptions):
        """Check what can be checked before a song.

        Raises:
            ValueError: the checkpoint makes no songs of the length that is asked for.
        """
        self._models, self._options = models, options
        self._seeds = seeds_from(options.seed, options.takes)
        most = models.lelm.config.max_seconds
        if not 0 <= options.max_seconds <= most:
            raise ValueError(
                f"--max-seconds {options.max_seconds:g} cannot be met: this checkpoint composes at most "
                f"{most:g} s; give less, or 0 for the checkpoint's limit."
            )
        self._frames = max(1, round((options.max_seconds or most) * FRAME_RATE))

    @torch.inference_mode()
    def make(
        self, orders: Sequence[Order], watch: Watch = unwatched
    ) -> Iterator[tuple[int, FinishedSong | Exception]]:
        """Make songs: composed at once, then rendered and decoded one after the other.

        Args:
            orders: as many as are composed at once, or fewer.
            watch: told what is done.

        Yields:
            The place of each among the orders, and the song or the error that it could not be made for.

        Raises:
            Exception: the songs could not be composed together.
        """
        songs: list[tuple[int, StylePrompt | None, BatchSong]] = []
        for place, order in enumerate(orders):
            try:
                style = self._style(order, watch)
                songs.append((place, style, self._batched(order.song, style)))
            except Exception as error:
                yield place, _without_locals(error)
        composed = self._composed([song for _, _, song in songs], watch)
        for (place, style, song), tokens in zip(songs, composed, strict=True):
            try:
                if isinstance(tokens, ValueError):
                    raise tokens
                outcome: FinishedSong | Exception = self._finish(
                    orders[place].song, style, tokens, song, watch
                )
            except Exception as error:
                outcome = _without_locals(error)
            yield place, outcome

    def _finish(
        self, song: Song, style: StylePrompt | None, tokens: SongTokens, batched: BatchSong, watch: Watch
    ) -> FinishedSong:
        """A song that was composed."""
        takes = tokens.takes
        each = [[take] for take in takes] if self._models.engine.low_memory else [takes]
        rendered = [latents for some in each for latents in self._rendered(some, style, watch)]
        files = tuple(self._take(song, tokens, n, sound, watch) for n, sound in enumerate(rendered))
        return FinishedSong(tokens, files, _notes(batched, tokens), self._models.says())

    def _style(self, order: Order, watch: Watch) -> StylePrompt | None:
        if order.clip is None:
            return None if order.style is None else StylePrompt(order.style)
        models = self._models
        assert models.separator is not None  # it is loaded where a song of the list has prompt audio
        waveform, rate = decoded(order.clip)
        _, clip = choose(Recording(waveform, rate, "prompt audio"), self._options.prompt_start)
        device, on_step = models.place(models.separator), watch("splitting the prompt")
        sound = Sound(clip, SAMPLE_RATE)
        separator = models.separator
        stems = split(separator.model, separator.config, sound.waveform, sound.rate, 0, device, on_step)
        vocals, accompaniment = both_stems(clip, stems.vocals, None)
        encoders = [(encoder.model, partial(models.place, encoder)) for encoder in models.encoders]
        codes = encode_style(encoders, clip, vocals, accompaniment, watch("encoding the prompt"))
        return StylePrompt(codes, vocals, accompaniment)

    def _batched(self, song: Song, style: StylePrompt | None) -> BatchSong:
        """What LeLM is given of a song."""
        models, instrumental = self._models, self._options.kind == BGM
        words = NO_WORDS if instrumental else song.lyrics
        request = SongRequest(words, song.description, instrumental, style.codes if style else None)
        text = conditioned(song.description, models.lelm.config.version, instrumental)
        conditions = prepare(song_text(words), text, request.style, models.lelm.config, models.tokenizer)
        return BatchSong(request, conditions, self._frames, tuple(self._seeds))

    def _composed(self, songs: Sequence[BatchSong], watch: Watch) -> list[SongTokens | ValueError]:
        """Tokens of each song, or the error that a song without a frame is."""
        if not songs:
            return []
        models, options = self._models, self._options
        device, on_step = models.place(models.lelm), watch("composing")
        return compose_songs(
            models.lelm.model,
            songs,
            options.batch,
            options.sampling,
            models.composer,
            device,
            models.execution(),
            on_step,
        )

    def _rendered(
        self, songs: Sequence[Tensor], style: StylePrompt | None, watch: Watch
    ) -> list[dict[str, Track] | Stems]:
        """Latents of takes, by track."""
        options, models = self._options, self._models
        separate, track = options.kind == SEPARATE, TRACK[options.kind]
        tracks = tracks_in(options.stems) if separate else (track,)
        prompts = [prompt for each in tracks if (prompt := self._prompt(style, each))]
        device, on_step = models.place(models.renderer), watch("rendering")
        renderer = models.renderer.model
        if separate:
            stems = render_stems(
                renderer,
                songs,
                options.stems,
                options.seed,
                options.steps,
                options.guidance,
                prompts or None,
                device,
                on_step,
            )
            return list(stems)
        noises = [seeded_noise(options.seed, 1, models.renderer.config) for _ in songs]
        settings = RenderSettings(track, options.steps, options.guidance)
        prompt = prompts[0] if prompts else None
        return [
            {track: latents}
            for latents in render_songs(renderer, songs, noises, settings, prompt, device, on_step)
        ]

    def _prompt(self, style: StylePrompt | None, track: str) -> Prompt | None:
        """What leads a track in the sound of a style, if that has any."""
        if style is None or style.vocals is None or style.accompaniment is None:
            return None
        vae = self._models.vae
        device = self._models.place(vae)
        return style_prompt(
            vae.model, style.codes, style.vocals, style.accompaniment, track, device, vae.dtype
        )

    def _take(
        self, song: Song, tokens: SongTokens, number: int, latents: dict[str, Track] | Stems, watch: Watch
    ) -> Take:
        on_step = watch("decoding")
        if isinstance(latents, Stems):
            mix, vocals, accompaniment = decode_stems(latents, self._decode, on_step)
            sounds = {"mix": mix, "vocals": vocals, "accompaniment": accompaniment}
        else:
            sounds = {track: decode_track(each, self._decode, on_step) for track, each in latents.items()}
        tags = self._tags(song, tokens, number)
        files = {
            track: encoded(sound[0], self._options.format, {**tags, "track": track})
            for track, sound in sounds.items()
        }
        return Take(next(iter(sounds.values())).shape[-1] / SAMPLE_RATE, files)

    def _decode(self, latents: SongLatents, on_step: OnStep) -> Tensor:
        """[1, 2, samples] of a track, in chunks that fit half of a card's free memory."""
        vae = self._models.vae
        device, chunk = self._models.place(vae), None
        if device.type == "cuda":
            needed = decode_bytes(vae.config, vae.dtype.itemsize, latents.window, cuda=True)
            free, _ = torch.cuda.mem_get_info(device)
            chunk = chunk_frames(needed, latents.window, free // 2, 2 * vae.config.overlap)
        return decode_song(vae.model, latents, device, vae.dtype, chunk, on_step)

    def _tags(self, song: Song, tokens: SongTokens, number: int) -> dict[str, Any]:
        options = self._options
        return {
            TITLE: song.idx,
            GENRE: song.description,
            LYRICS: tokens.request.lyrics,
            SEED: tokens.seeds[number],
            "kind": options.kind,
            "sampling": vars(tokens.sampling),
            **options.settings(),
            "checkpoint": tokens.composer.checkpoint,
            **self._models.says(),
        }


def _without_locals(error: Exception) -> Exception:
    """The same error without what was computed where it was raised: the next song needs the memory."""
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__
    return error


def _notes(batched: BatchSong, tokens: SongTokens) -> tuple[str, ...]:
    """What of a song's text did not fit, and which takes ended before they began."""
    notes = [
        f"Too long for this checkpoint: the {what} lost their end, {cut[:CUT_SHOWN]!r}."
        for what, cut in (
            ("lyrics", batched.conditions.cut_lyric),
            ("style tags", batched.conditions.cut_style),
        )
        if cut
    ]
    if silent := [str(seed) for seed in batched.seeds if seed not in tokens.seeds]:
        notes.append(f"Left out, because they ended before their first frame: seeds {', '.join(silent)}.")
    return tuple(notes)
