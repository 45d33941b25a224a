"""What a model makes of weights that are no numbers is noticed before it leaves, in one sentence."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import inf, nan

import pytest
import torch
from support import separators
from support.scripted_models import DELAYS, FRAMES, GREEDY, WAYS, Script, any_conditions, song_script
from support.sentences import assert_one_sentence
from support.short_runs import render_song
from support.small_models import SMALL_LELM, SMALL_RENDERER, filled, random
from torch import Tensor, nn

from levo import tiny
from levo.audio.sound import SoundError
from levo.config import CODES, Sampling, VaeConfig
from levo.lelm.compose import POLL_STEPS, ComposeRun, compose
from levo.lelm.model import LeLM
from levo.lelm.sampling import sample
from levo.lelm.takes import LogitsError
from levo.renderer.model import Renderer
from levo.separator.split import split
from levo.song.decode import decode_song
from levo.song.latents import SongLatents
from levo.song.preview import EarlySound
from levo.song.render import seeded_noise, style_prompt
from levo.style_encoder.encode import StyleEncoder, encode_clips
from levo.vae.oobleck import Vae

pytestmark = pytest.mark.usefixtures("inference")
VALUES = pytest.mark.parametrize("value", [nan, inf, -inf])
SEPARATOR = replace(tiny.SEPARATOR, segment=Fraction(1, 2))


def one_wrong(model: nn.Module, part: str, value: float) -> nn.Module:
    """The model with one wrong number in the first weight whose name holds `part`."""
    weight = next(weight for name, weight in model.named_parameters() if part in name)
    weight.view(-1)[3] = value
    return model


def assert_told(error: pytest.ExceptionInfo[ValueError], who: str) -> None:
    assert_one_sentence(str(error.value))
    assert str(error.value).startswith(f"{who} made numbers that are no")
    assert "again." in str(error.value)


# LeLM ----------------------------------------------------------------------------------------------------


def broken_at(step: int, value: float, stream: int = 0) -> Script:
    """A song whose logits have one wrong number, from a step on."""
    good = song_script((None,) * 3)
    row = good.logits

    def logits(now: int) -> Tensor:
        out = row(now)
        if now >= step:
            out[stream, 4_000] = value
        return out

    return Script(logits, DELAYS)


@VALUES
@pytest.mark.parametrize("stream", [0, 1, 2])
@pytest.mark.parametrize("sampling", WAYS.values(), ids=WAYS.keys())
def test_logits_that_are_none_end_a_song(value: float, stream: int, sampling: Sampling):
    with pytest.raises(LogitsError) as error:
        compose(broken_at(4, value, stream), any_conditions(SMALL_LELM), FRAMES, sampling, [1, 2])
    assert_told(error, "LeLM")


def test_they_are_noticed_at_the_next_look_and_not_at_the_end():
    model = broken_at(20, nan)
    with pytest.raises(LogitsError), ComposeRun(model, any_conditions(SMALL_LELM), 1_000, GREEDY) as run:
        while run.step():
            pass
    assert 20 <= len(model.inputs) <= 20 + POLL_STEPS


@pytest.mark.parametrize("guidance", [-100.0, 0.0, 1.0, 100.0])
def test_guidance_hides_no_wrong_number(guidance: float):
    with pytest.raises(LogitsError):
        compose(broken_at(2, nan), any_conditions(SMALL_LELM), FRAMES, Sampling(guidance=guidance))


@VALUES
@pytest.mark.parametrize("part", ["heads.2", "stage1.norm", "stage1.blocks.1.down"])
def test_one_wrong_weight_of_lelm_is_told(part: str, value: float):
    model = one_wrong(filled(LeLM(SMALL_LELM)), part, value)
    with pytest.raises(LogitsError) as error:
        compose(model, any_conditions(SMALL_LELM), FRAMES, Sampling())
    assert_told(error, "LeLM")


@pytest.mark.parametrize("top_p", [0.0, 0.9])
@pytest.mark.parametrize("logits", [torch.full((2, CODES + 1), nan), torch.full((2, CODES + 1), -inf)])
def test_what_is_drawn_of_no_numbers_is_an_index_all_the_same(logits: Tensor, top_p: float):
    drawn = sample(logits, torch.tensor([0.0, 0.999]), 0.8, 50, top_p)
    assert ((drawn >= 0) & (drawn <= CODES)).all()


# Renderer and VAE ----------------------------------------------------------------------------------------


@VALUES
def test_one_wrong_weight_of_the_renderer_is_told_after_its_first_window(value: float):
    model, steps = one_wrong(filled(Renderer(SMALL_RENDERER)), "flow.blocks.0.down", value), []
    codes = torch.arange(120).view(1, 3, 40)
    with pytest.raises(SoundError) as error:
        render_song(
            model,
            codes,
            seeded_noise(1, 1, SMALL_RENDERER),
            steps=2,
            on_step=lambda *step: steps.append(step),
        )
    assert_told(error, "The renderer")
    assert len(steps) == 2


@pytest.fixture
def vae() -> Vae:
    return filled(Vae(VaeConfig(channels=2)))


@VALUES
def test_one_wrong_weight_of_the_vae_is_told_in_a_song_and_in_its_early_sound(vae: Vae, value: float):
    broken, latents = one_wrong(vae, "decoder", value), random(1, 64, 40)
    for decode in (
        lambda: decode_song(broken, SongLatents(latents, latents[..., :0])),
        lambda: EarlySound(broken).add(latents),
    ):
        with pytest.raises(SoundError) as error:
            decode()
        assert_told(error, "The VAE")


def test_a_vae_that_overflows_is_told_as_well(vae: Vae):
    latents = random(1, 64, 40) * 1e30
    with pytest.raises(SoundError) as error:
        decode_song(vae, SongLatents(latents, latents[..., :0]))
    assert_told(error, "The VAE")


@VALUES
def test_one_wrong_weight_of_the_vae_is_told_where_a_style_leads(vae: Vae, value: float):
    sound = random(1, 2, 250 * 1_920)
    with pytest.raises(SoundError) as error:
        style_prompt(one_wrong(vae, "encoder", value), torch.zeros(1, 3, 250).long(), sound, sound, "mix")
    assert_told(error, "The VAE")


# Separator and style encoder -----------------------------------------------------------------------------


@VALUES
@pytest.mark.parametrize("part", ["encoder.0.conv", "tdecoder.3.conv_tr", "tdecoder.0.rewrite"])
def test_one_wrong_weight_of_the_separator_is_told(part: str, value: float):
    model = one_wrong(separators.separator(SEPARATOR), part, value)
    with pytest.raises(SoundError) as error:
        split(model, SEPARATOR, 0.3 * random(1, 2, 30_000), 44_100, 1)
    assert_told(error, "The separator")


@VALUES
@pytest.mark.parametrize("part", ["halve", "musicfm", "codebook", "into"])
def test_one_wrong_weight_of_the_style_encoder_is_told(part: str, value: float):
    model = one_wrong(filled(StyleEncoder(tiny.TRACK_ENCODER)), part, value)
    clip = random(1, 2, 48_000)
    with pytest.raises(SoundError) as error:
        encode_clips(model, {"vocal": clip, "accompaniment": clip})
    assert_one_sentence(str(error.value))
    assert str(error.value).startswith("The style encoder made numbers that are none;")
