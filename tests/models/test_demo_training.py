"""What demo models are trained in computes what the models themselves compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from demo_models import codes, composer, data, export, sizes, synthesis, theory, vae_training
from demo_models.lelm_training import Examples, SmallLeLM
from demo_models.renderer_training import SmallRenderer

from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_voice_and_the_band_of_tables_are_those_of_the_synthesis():
    song = composer.random_song(7)
    mixed = torch.from_numpy(song.frames.codes())[:, 40:60]
    made = data.sound(mixed[1:2], mixed[2:3], torch.tensor([40]))[0]
    expected = synthesis.vocals(mixed[1].numpy(), 40) + synthesis.accompaniment(mixed[2].numpy(), 40)
    assert np.abs(made.numpy() - expected).max() < 1e-5


def test_a_tone_goes_on_smoothly_from_frame_to_frame():
    held = np.full(8, codes.VOCAL + 5 * len(codes.VOWELS))
    sound = synthesis.vocals(held)[0]
    steps = np.abs(np.diff(sound))
    joins = steps[synthesis.HOP - 5 :: synthesis.HOP]
    assert joins.max() <= steps.max()
    period = theory.PERIOD * synthesis.HOP
    assert (
        np.abs(sound[synthesis.HOP : synthesis.HOP + 900] - sound[synthesis.HOP + period :][:900]).max()
        < 1e-5
    )


def test_songs_follow_from_their_seed_and_stay_in_the_scale():
    one, again, other = (composer.random_song(seed) for seed in (3, 3, 4))
    assert np.array_equal(one.frames.codes(), again.frames.codes())
    assert not np.array_equal(one.frames.codes()[1][:50], other.frames.codes()[1][:50])
    for voice in (theory.LOW_VOICE, theory.HIGH_VOICE):
        assert all(0 <= theory.pitch_class(units) < 7 for units in voice)


def test_the_vae_is_trained_in_what_it_computes():
    torch.manual_seed(0)
    vae = Vae(sizes.VAE)
    latents, sound = torch.randn(1, 64, 6), 0.1 * torch.randn(1, 2, 6 * 1920)
    with torch.inference_mode():
        assert torch.allclose(vae.decode(latents), vae_training.decode(vae, latents), atol=1e-4)
        assert torch.allclose(vae.encode(sound)[0], vae_training.encode(vae, sound), atol=1e-4)


def test_lelm_is_trained_in_what_it_computes():
    torch.manual_seed(0)
    small = SmallLeLM(sizes.LELM)
    model = LeLM(sizes.LELM)
    model.load_state_dict(whole(export.lelm_tensors(small), model))
    example = Examples(sizes.LELM, 1, 300).of(0)
    placed = example.placed[None, :, :40]
    with torch.inference_mode():
        first, second = small.prefix(example.conditions, example.row)
        expected = small(first[None], second[None], placed)
        prefix = model.condition(example.conditions)
        caches = model.caches(1, 2048, prefix.stage1)
        ours = type(prefix)(*(part[example.row][None] for part in (prefix.stage1, prefix.stage2)))
        logits = model(placed, caches, ours)
    for k, small_logits in enumerate(expected):
        rows = small.rows[f"heads.{k}"]
        assert torch.allclose(logits[0, k, rows.used], small_logits[0, -1, :-1], atol=1e-3)


def test_lelm_begins_with_the_pitch_of_the_latest_note_in_mind():
    torch.manual_seed(0)
    small = SmallLeLM(sizes.LELM)
    example = Examples(sizes.LELM, 1, 300).of(0)
    placed = example.placed[None, :, :40].clone()
    first_note = codes.SUNG + codes.NEW
    notes = slice(*torch.searchsorted(small.rows["heads.0"].used, torch.tensor([first_note, codes.LEFT])))
    placed[0, 0, :-8] = codes.SUNG + codes.HELD
    placed[0, 0, 4] = first_note + 9 * len(codes.VOWELS)  # an earlier note, far from the later ones
    with torch.inference_mode():
        first, second = small.prefix(example.conditions, example.row)
        for pitch in (1, 4, 7):
            placed[0, 0, -8] = first_note + pitch * len(codes.VOWELS)
            logits = small(first[None], second[None], placed)[0][0, -1, notes]
            by_pitch = logits.view(2, codes.REGISTER, len(codes.VOWELS)).mean((0, 2))
            assert abs(int(by_pitch.argmax()) - pitch) <= 1


def test_the_renderer_is_trained_in_what_it_computes():
    torch.manual_seed(0)
    small = SmallRenderer(sizes.RENDERER)
    small.statistics[1] = 1
    for book in (small.vocal_book, small.band_book):
        torch.nn.init.normal_(book.parts.weight)
    model = Renderer(sizes.RENDERER)
    model.load_state_dict(whole(export.renderer_tensors(small), model))
    width = sizes.RENDERER.width
    known, noisy, times = torch.randn(2, 50, width - 64), torch.randn(2, 50, 64), torch.tensor([0.2, 0.7])
    notes, chords = (torch.linspace(0, count - 1, 8).long() for count in (codes.NOTES, codes.CHORD_FRAMES))
    vocal, band = codes.VOCAL + notes[None], codes.ACCOMPANIMENT + chords[None]
    vocal[0, 2], band[0, 5] = codes.SILENT_VOCAL, codes.SILENT_ACCOMPANIMENT
    with torch.inference_mode():
        expected = model.flow(torch.cat((known, noisy), dim=-1), times)[..., -64:]
        assert torch.allclose(small.velocity(known, noisy, times), expected, atol=1e-4)
        assert torch.allclose(small.condition(vocal, band), model.condition(vocal, band), atol=1e-5)


def test_code_books_are_learned_by_what_codes_tell():
    book = SmallRenderer(sizes.RENDERER).band_book
    torch.nn.init.zeros_(book.own.weight)
    book.parts.weight.data[:-1].normal_()
    band = torch.tensor([codes.ACCOMPANIMENT + 7, codes.ACCOMPANIMENT + codes.CHORD_FRAMES - 4])
    told = zip(codes.CHORD_SHAPE, codes.chord_of(band.numpy()), strict=True)
    first, expected = 0, torch.zeros(2, sizes.RENDERER.code_width)
    for count, part in told:
        expected += book.parts.weight[first + torch.from_numpy(part)]
        first += count
    assert torch.allclose(book(band), expected)
    assert not book(torch.tensor([codes.SILENT_ACCOMPANIMENT])).any()


def whole(exported: tuple, model: torch.nn.Module) -> dict:
    """A model's state dict of small tables."""
    tensors, rows = exported
    shapes = {name: len(tensor) for name, tensor in model.state_dict().items() if tensor.ndim}
    return {
        name: tensor if name not in rows else expanded(rows[name], shapes[name], tensor)
        for name, tensor in tensors.items()
    }


def expanded(rows, count: int, tensor: torch.Tensor) -> torch.Tensor:
    table = tensor[-1:].repeat(count, 1)
    table[rows.used] = tensor[:-1]
    return table
