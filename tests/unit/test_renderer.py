"""Codes to latents: windows over a song, the solver's steps, known frames and statistics."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.short_runs import render_windows
from support.small_models import SMALL_RENDERER, random
from torch import Tensor, nn

from levo import tiny
from levo.config import CODES, RendererConfig
from levo.layers.tables import tile
from levo.renderer.model import Renderer, Schedule, rotary_table, rotate
from levo.renderer.solver import SIGMA_MIN, solve
from levo.renderer.windows import Windows

SMALL = replace(SMALL_RENDERER, layers=2, latent=4)

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    model = Renderer(SMALL)
    tiny.init_weights(model)
    with torch.no_grad():
        model.statistics.weight.copy_(torch.stack((random(4), 0.5 + random(4, seed=1).abs())))
    return model


def some_codes(frames: int, batch: int = 1, seed: int = 0) -> Tensor:
    return torch.randint(0, CODES, (batch, frames), generator=torch.Generator().manual_seed(seed))


def conditioned(model: Renderer, frames: int, batch: int = 1) -> Tensor:
    return model.condition(some_codes(frames, batch), some_codes(frames, batch, seed=1))


def noise(window: int) -> Tensor:
    return random(1, SMALL.window, SMALL.latent, seed=100 + window)


# Windows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "count"),
    [(1, 1), (999, 1), (1000, 1), (1001, 2), (1750, 2), (1751, 3), (2500, 3), (2501, 4), (6750, 9)],
)
def test_windows_of_40_s_every_30_s_cover_the_song(frames, count):
    windows = Windows.over(frames, RendererConfig())
    spans = windows.spans()
    assert (windows.count, windows.total) == (count, 1000 + 750 * (count - 1))
    assert spans == [(750 * n, 750 * n + 1000) for n in range(count)]
    assert windows.total - 750 < frames <= windows.total or count == 1


@pytest.mark.parametrize(("length", "repeated"), [(2, [4, 5]), (3, [4, 5, 6]), (7, [4, 5, 6, 4, 5, 6, 4])])
def test_codes_are_repeated_from_their_start(length, repeated):
    assert tile(torch.tensor([[4, 5, 6], [7, 8, 9]]), length).tolist() == [
        repeated,
        [c + 3 for c in repeated],
    ]


def recorded(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The inputs of every step of the flow from here on."""
    inputs, step = [], renderer.flow.step
    # The solver writes the next input over the last.
    monkeypatch.setattr(
        renderer.flow, "step", lambda x, *more: (inputs.append(x.clone()), step(x, *more))[1]
    )
    return inputs


def rendered(model: Renderer, frames: int, lead: Tensor | None = None, **options) -> Tensor:
    codes = (some_codes(frames), some_codes(frames, seed=1))
    return render_windows(
        model, *codes, noise, options.pop("steps", 2), options.pop("guidance", 1.5), lead, **options
    )


@pytest.mark.parametrize(("frames", "windows"), [(1, 1), (20, 1), (21, 2), (35, 2), (36, 3)])
def test_rendering_covers_all_windows_and_reports_every_step(renderer, frames, windows):
    reports: list[tuple[int, int]] = []
    latents = rendered(renderer, frames, steps=3, on_step=lambda done, total: reports.append((done, total)))
    assert latents.shape == (1, 20 + 15 * (windows - 1), 4)
    assert reports == [(done, 3 * windows) for done in range(1, 3 * windows + 1)]


def test_a_window_knows_the_end_of_the_one_before(renderer, monkeypatch):
    inputs = recorded(renderer, monkeypatch)
    latents = rendered(renderer, 40, steps=1, guidance=1.0)
    context = slice(SMALL.mask, SMALL.mask + SMALL.latent)
    assert len(inputs) == 3
    assert not inputs[0][..., context].any()
    for number in (1, 2):
        known = inputs[number][0, :5, context]
        torch.testing.assert_close(known, renderer.normalise(latents)[0, 15 * number : 15 * number + 5])
        assert not inputs[number][0, 5:, context].any()


def test_the_first_window_does_not_depend_on_the_second(renderer):
    codes = some_codes(40), some_codes(40, seed=1)
    short = render_windows(renderer, *(c[:, :20] for c in codes), noise, 2, 1.5)
    long = render_windows(renderer, *codes, noise, 2, 1.5)
    assert torch.equal(long[:, :20], short)


def test_every_window_has_its_own_noise(renderer):
    def other(window: int) -> Tensor:
        return noise(window + 5 * (window == 1))

    codes = some_codes(40), some_codes(40, seed=1)
    ours, theirs = (render_windows(renderer, *codes, source, 1, 1.0) for source in (noise, other))
    same = torch.isclose(ours, theirs).all(-1)[0]
    assert same[:20].all()
    assert not same[20:].any()


def test_codes_shorter_than_a_window_are_repeated(renderer):
    codes = some_codes(7), some_codes(7, seed=1)
    repeated = (torch.cat((c, c, c), dim=1)[:, :20] for c in codes)
    torch.testing.assert_close(
        render_windows(renderer, *codes, noise, 2, 1.5), render_windows(renderer, *repeated, noise, 2, 1.5)
    )


def test_a_lead_is_kept_and_heard(renderer):
    lead = random(1, 5, 4, seed=9)
    led, free = rendered(renderer, 30, lead), rendered(renderer, 30)
    torch.testing.assert_close(led[:, :5], lead, rtol=1e-6, atol=1e-6)
    assert not torch.isclose(led[:, 5:20], free[:, 5:20]).all(-1).any()


def test_rows_of_a_batch_do_not_mix(renderer):
    codes = some_codes(20, batch=2), some_codes(20, batch=2, seed=1)
    both = render_windows(renderer, *codes, lambda n: noise(n).expand(2, -1, -1), 2, 1.5)
    second = render_windows(renderer, *(c[1:] for c in codes), noise, 2, 1.5)
    torch.testing.assert_close(both[1:], second, rtol=1e-4, atol=1e-4)


# Solver --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 1.5])
def test_known_frames_come_out_unchanged_and_others_are_made(renderer, guidance):
    known, start = random(1, 6, 4, seed=3), noise(0)
    made = solve(renderer, conditioned(renderer, 20), start, known, 3, guidance)
    assert torch.equal(made[:, :6], known)
    assert not torch.isclose(made[:, 6:], start[:, 6:]).any()


def test_a_constant_velocity_leads_straight_from_noise(renderer, monkeypatch):
    times: list[float] = []
    schedule = renderer.flow.schedule

    def noting(moments: Tensor, *more) -> Schedule:
        times.extend(moments.tolist())
        return schedule(moments, *more)

    monkeypatch.setattr(renderer.flow, "schedule", noting)
    monkeypatch.setattr(renderer.flow, "step", lambda x, *more: torch.full_like(x, 3.0))
    made = solve(renderer, conditioned(renderer, 20), noise(0), noise(0)[:, :0], 4, 1.5)
    torch.testing.assert_close(made, noise(0) + 3.0)
    assert times == [0.0, 0.25, 0.5, 0.75]


def test_steps_of_one_schedule_are_the_flow_at_their_moments(renderer):
    x, times = random(2, 10, SMALL.width), torch.tensor([0.0, 0.3, 0.7])
    schedule, before = renderer.flow.schedule(times, 10), x.clone()
    for number in range(3):
        one = renderer.flow.step(x, schedule, slice(number, number + 1))
        torch.testing.assert_close(one, renderer.flow(x, times[number].expand(2)), rtol=1e-5, atol=1e-5)
    rows = renderer.flow.step(x, schedule, slice(1, 3))
    torch.testing.assert_close(rows, renderer.flow(x, times[1:]), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(rows[:1], renderer.flow.step(x, schedule, slice(0, 1))[:1], atol=1e-4)
    assert torch.equal(x, before)


def test_a_step_follows_the_velocity_of_all_that_is_known(renderer):
    condition, start, known = conditioned(renderer, 20), noise(0), random(1, 6, 4, seed=3)
    marks = renderer.mask.weight[[1] * 6 + [2] * 14][None]
    context = torch.cat((known, torch.zeros(1, 14, 4)), dim=1)
    x = start.clone()
    for time in (0.0, 0.5):
        x[:, :6] = (1 - (1 - SIGMA_MIN) * time) * start[:, :6] + time * known
        out = renderer.flow(torch.cat((marks, context, condition, x), dim=-1), torch.tensor([time]))
        x = x + out[..., -4:] / 2
    made = solve(renderer, condition, start, known, 2, 1.0)
    torch.testing.assert_close(made[:, 6:], x[:, 6:])


def test_without_guidance_one_row_runs_and_with_it_two(renderer, monkeypatch):
    inputs = recorded(renderer, monkeypatch)
    condition = conditioned(renderer, 20)
    for guidance in (1.0, 1.5):
        solve(renderer, condition, noise(0), noise(0)[:, :0], 1, guidance)
    assert [x.shape[0] for x in inputs] == [1, 2]
    before, after = SMALL.mask + SMALL.latent, SMALL.mask + SMALL.latent + 2 * SMALL.condition
    assert torch.equal(inputs[1][0], inputs[0][0])
    assert not inputs[1][1, :, before:after].any()
    assert torch.equal(inputs[1][1, :, :before], inputs[0][0, :, :before])
    assert torch.equal(inputs[1][1, :, after:], inputs[0][0, :, after:])


def test_guidance_leads_away_from_the_null_row(renderer):
    condition, nothing = conditioned(renderer, 20), noise(0)[:, :0]

    def made(row: Tensor, guidance: float) -> Tensor:
        return solve(renderer, row, noise(0), nothing, 1, guidance)

    alone, null = made(condition, 1.0), made(torch.zeros_like(condition), 1.0)
    assert not torch.allclose(alone, null)
    torch.testing.assert_close(made(condition, 1.5), null + 1.5 * (alone - null), rtol=1e-4, atol=1e-4)


class Cancelled(Exception):
    """What a caller may raise."""


def test_the_solver_reports_steps_and_stops_when_told(renderer, monkeypatch):
    inputs, reports = recorded(renderer, monkeypatch), []

    def on_step(done: int, total: int) -> None:
        reports.append((done, total))
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        solve(renderer, conditioned(renderer, 20), noise(0), noise(0)[:, :0], 5, 1.0, on_step)
    assert reports == [(1, 5), (2, 5)]
    assert len(inputs) == 2


# Model ---------------------------------------------------------------------------------------------------


def test_normalising_uses_the_statistics_and_can_be_undone(renderer):
    latents = random(2, 7, 4, seed=8)
    mean, deviation = renderer.statistics.weight
    normal = renderer.normalise(latents)
    torch.testing.assert_close(normal, (latents - mean) / deviation)
    torch.testing.assert_close(renderer.denormalise(normal), latents)


def test_tracks_have_their_own_codebooks(renderer):
    codes = some_codes(6)
    vocal, accompaniment = renderer.condition(codes, codes).chunk(2, dim=-1)
    assert not torch.isclose(vocal, accompaniment).all(-1).any()
    other = renderer.condition(codes, codes + 1).chunk(2, dim=-1)
    assert torch.equal(other[0], vocal)
    assert not torch.isclose(other[1], accompaniment).all(-1).any()


def test_frames_hear_later_frames(renderer):
    x = random(1, 10, SMALL.width)
    other = x.clone()
    other[:, 9] = random(1, SMALL.width, seed=1)
    time = torch.tensor([0.3])
    assert float((renderer.flow(x, time) - renderer.flow(other, time))[:, 0].abs().max()) > 1e-4


def test_rotation_turns_neighbours_and_shows_only_the_distance():
    query, key = random(1, 1, 1, 6), random(1, 1, 1, 6, seed=1)
    table = rotary_table(50, 6, query)

    def at(x: Tensor, position: int) -> Tensor:
        return rotate(x.clone(), tuple(part[position : position + 1] for part in table))

    one = torch.zeros(1, 1, 1, 6)
    one[..., 2] = 1
    angle = torch.tensor(3 * 1e4 ** (-2 / 6))
    torch.testing.assert_close(
        at(one, 3).flatten(),
        torch.stack((0 * angle, 0 * angle, angle.cos(), angle.sin(), 0 * angle, 0 * angle)),
    )
    near, far = ((at(query, n + 3) * at(key, n)).sum() for n in (2, 40))
    torch.testing.assert_close(near, far)
    assert float(abs((at(query, 3) * at(key, 2)).sum() - near)) > 1e-3


def test_matrices_alone_are_of_the_models_dtype():
    model = Renderer(SMALL, dtype=torch.bfloat16)
    matrices = {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    tables = {f"{track}.codebook.weight" for track in ("vocal", "accompaniment")} | {"mask.weight"}
    biases = {name.replace("weight", "bias") for name in matrices}
    small = {name for name, tensor in model.state_dict().items() if tensor.dtype == torch.bfloat16}
    assert small == matrices | biases | tables
    assert {t.dtype for n, t in model.state_dict().items() if n not in small} == {torch.float32}
    tiny.init_weights(model)
    made = solve(model, conditioned(model, 20), noise(0), noise(0)[:, :0], 2, 1.5)
    assert made.dtype == torch.float32
    assert made.isfinite().all()
