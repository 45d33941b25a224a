"""What fits a card: weights, a run beside them, a verdict, and the best choice."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support import pack

from levo import memory, tiny
from levo.config import FRAME_RATE, RELEASED_CONFIGS, RendererConfig, VaeConfig
from levo.memory import FITS, MARGIN, NUMBERS, STREAMS, TOO_BIG, Fit, Room, best_of, what_fits

GIB = 1 << 30
MEDIUM, LARGE = RELEASED_CONFIGS["v2-medium"], RELEASED_CONFIGS["v2-large"]
PAIR = {"v2-large": LARGE, "v2-medium": MEDIUM}


def room(gib: float) -> Room:
    return Room(round(gib * GIB), kept=400 << 20, least=1_200 << 20)


@pytest.mark.parametrize(
    ("config", "parameters"),  # at run time, as others counted them too
    [(MEDIUM, 2_728_912_896), (LARGE, 4_988_100_608), (RELEASED_CONFIGS["base"], 2_728_903_680)],
)
def test_weights_are_those_that_are_used(config, parameters: int):
    assert memory.weight_bytes(config, "fp32") == 4 * parameters
    assert memory.weight_bytes(config, "fp16") == memory.weight_bytes(config, "bf16") == 2 * parameters


SHARES = [(MEDIUM, 0.77, 0.17), (LARGE, 0.83, 0.12)]  # of blocks and heads, and of the tables of texts


def test_int8_and_fp8_take_a_byte_for_each_number_of_blocks_and_heads_and_int8_of_tables():
    for config, share, tables in SHARES:
        whole = memory.weight_bytes(config, "fp16")
        for number, smaller in (("int8", share + tables), ("fp8_e4m3fn", share)):
            assert memory.weight_bytes(config, number) / whole == pytest.approx(1 - smaller / 2, abs=0.005)


def test_int4_takes_about_half_a_byte_for_blocks_and_heads():
    for config, share, tables in SHARES:
        whole = memory.weight_bytes(config, "fp16")
        left = memory.weight_bytes(config, "int4") / whole + tables / 2
        assert 1 - share * 3 / 4 < left < 1 - share * 0.70  # and the scales of its groups


def test_what_a_cpu_packs_is_smaller_and_the_rest_is_fp32():
    config = tiny.LELM
    whole = memory.weight_bytes(config, "fp32", packed=True)
    assert whole == memory.weight_bytes(config, "fp32")
    halved = memory.weight_bytes(config, "fp16", packed=True)
    assert memory.weight_bytes(config, "fp16") < halved < whole
    assert memory.weight_bytes(config, "int8", packed=True) < halved
    for number in ("bf16", "fp8_e4m3fn"):  # which it does not pack
        assert memory.weight_bytes(config, number, True) == memory.weight_bytes(config, number)


def test_renderer_and_vae_have_their_weights_too():
    assert memory.weight_bytes(RendererConfig(), "fp32") == pytest.approx(4 * 663_310_785, rel=0.001)
    assert memory.weight_bytes(RendererConfig(), "fp16") > 2 * 663_310_785  # norms stay fp32
    assert memory.weight_bytes(VaeConfig(), "fp32") > 4 * 84_395_776  # the decoder, and an encoder


@pytest.mark.parametrize("number", NUMBERS)
def test_a_run_takes_what_the_formulas_say(number: str):
    item, where = NUMBERS[number].itemsize, room(24)
    for seconds in (1, 30, 150, 270):
        frames = seconds * FRAME_RATE
        for takes in (1, 3):
            asked = memory.run_bytes(MEDIUM, number, seconds, where, takes)
            assert asked == memory.compose_bytes(MEDIUM, frames, item, takes)
    on_cpu = replace(where, kind="cpu", packed=True)
    packed = 4 if number in memory.PACKED else item
    assert memory.run_bytes(MEDIUM, number, 30, on_cpu) == memory.compose_bytes(MEDIUM, 750, packed)
    renderer = memory.render_bytes(RendererConfig(), item, 4, cuda=True)
    assert memory.run_bytes(RendererConfig(), number, 1, where, takes=2) == renderer
    assert memory.run_bytes(VaeConfig(), number, 1, where) == memory.decode_bytes(
        VaeConfig(), item, cuda=True
    )


def test_the_verdict_turns_to_the_byte_where_weights_or_the_run_no_longer_fit():
    weights, beside, kept = 1_000, 500, 30
    free = round(beside * MARGIN) + kept
    assert memory.verdict(weights, beside, Room(weights + free, kept)) == FITS
    assert memory.verdict(weights, beside, Room(weights + free - 1, kept)) == STREAMS
    assert memory.verdict(weights, beside, Room(free + 1, kept)) == STREAMS
    assert memory.verdict(weights, beside, Room(free, kept)) == TOO_BIG
    assert memory.verdict(weights, beside, Room(weights + 700, kept, least=700)) == FITS
    assert memory.verdict(weights, beside, Room(weights + 699, kept, least=700)) == STREAMS
    assert memory.verdict(weights, beside, Room(weights + free - 1, kept, kind="cpu")) == TOO_BIG


@pytest.mark.parametrize(
    ("gib", "best"),
    [
        (80, ("v2-large", "fp16")),
        (24, ("v2-large", "fp16")),
        (16, ("v2-large", "int8")),
        (12, ("v2-medium", "fp16")),
        (8, ("v2-medium", "int8")),
        (6, ("v2-medium", "int8")),  # its longest song streams
    ],
)
def test_the_best_is_the_largest_whose_longest_song_fits(gib: float, best: tuple[str, str]):
    found = best_of(what_fits(PAIR, ("fp16", "int8"), room(gib)))
    assert (found.name, found.number) == best
    assert (found.verdicts[270] == FITS) == (gib > 6)


def test_a_small_card_can_do_nothing_and_more_takes_need_a_larger_one():
    assert best_of(what_fits(PAIR, NUMBERS, room(2))) is None
    one, many = (best_of(what_fits(PAIR, ("fp16", "int8"), room(24), takes)) for takes in (1, 4))
    assert (one.name, one.number) == ("v2-large", "fp16")
    assert (many.name, many.number) != ("v2-large", "fp16") or FITS not in many.verdicts.values()


def test_lengths_are_a_short_song_and_the_longest():
    (base,) = what_fits({"base": RELEASED_CONFIGS["base"]}, ("fp16",), room(24))
    assert list(base.verdicts) == [150] and base.longest == 150
    (medium,) = what_fits({"v2-medium": MEDIUM}, ("fp16",), room(24))
    assert list(medium.verdicts) == [150, 270] and medium.run_sizes[150] < medium.run_sizes[270]
    (short,) = what_fits({"tiny": tiny.LELM}, ("fp32",), room(24))
    assert list(short.verdicts) == [tiny.LELM.max_seconds]


def test_a_short_song_that_fits_is_better_than_one_that_streams():
    def fit(name: str, short: str, longest: str, weights: int = 1) -> Fit:
        return Fit(name, "fp16", weights, {150: 1, 270: 2}, {150: short, 270: longest})

    streaming, partly, whole = (
        fit("a", STREAMS, STREAMS, 9),
        fit("b", FITS, TOO_BIG),
        fit("c", FITS, FITS),
    )
    assert best_of([streaming, partly, whole]) is whole
    assert best_of([streaming, partly]) is partly
    assert best_of([streaming, fit("d", STREAMS, TOO_BIG, 5)]).name == "d"
    assert best_of([fit("e", TOO_BIG, TOO_BIG)]) is None
    assert best_of([]) is None


def test_nothing_is_allocated():
    with torch.device("meta"):
        assert memory.weight_bytes(replace(LARGE, layers=35), "int8") > 5e9


def readme_rows() -> dict[str, list[str]]:
    """Rows of the README's tables by their first cell."""
    lines = (pack.ROOT / "README.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("number", NUMBERS)
def test_the_readme_has_the_size_of_each_format(number: str):
    sizes = [f"{memory.weight_bytes(config, number) / 1e9:.1f} GB" for config in (MEDIUM, LARGE)]
    assert readme_rows()[number][0] == ", ".join(sizes)


@pytest.mark.parametrize("name", RELEASED_CONFIGS)
def test_the_readme_has_the_size_of_each_release(name: str):
    config = RELEASED_CONFIGS[name]
    sizes = [
        memory.weight_bytes(config, "fp16"),
        memory.run_bytes(config, "fp16", config.max_seconds, room(24)),
    ]
    assert readme_rows()[name][2:] == [f"{size / 1e9:.1f} GB" for size in sizes]
