"""Steps a second of LeLM at full size, outside ComfyUI; and what captures, allocations and garbage cost."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from statistics import median

import torch
from bench.begun import Begin, Enough, between
from bench.gpu.report import Report, clear
from bench.gpu.setting import LARGE, MEDIUM, Setting, longest
from bench.models import endless, few_bits_on_card, in_dtype, random_model, triton_kernel
from bench.table import clock, seconds
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from levo.config import RELEASED_CONFIGS
from levo.lelm.compose import Execution
from levo.lelm.fused import FusedBlocks
from levo.lelm.kv_cache import SPAN
from levo.lelm.model import LeLM

START, LATER = 0, 3_500  # frames that are kept: the first step is at position 953 or 4453
WHOLE, SHORT, FEW = 600, 150, 60  # steps that are run
WARM = 4  # steps of a span that are not timed: as it is, captured, replayed
PROFILED = 4
TOP = 6  # kernels that are named
LEAST = {"graph": 150, "compiled": 200}  # steps a second of v2-large in fp16, one take


@dataclass(frozen=True)
class Speed:
    """What was measured of a song's begin."""

    step: float  # seconds, without captures
    whole: float  # the same, of all steps
    host: float  # until a step is launched


def run(report: Report, setting: Setting) -> None:
    """Measure both sizes, the large one first."""
    for size in (LARGE, MEDIUM):
        with report.case(size):
            half = endless(random_model(setting.lelm[size], setting.device, setting.dtype("fp16")))
            measure_half(report, setting, size, half)
            measure_few_bits(report, setting, size, half)
            full = in_dtype(half, setting.dtype("bf16"))
            del half
            clear()
            for kept in (START, LATER):
                for way in ("graph", "compiled"):
                    measure(report, setting, Case(size, "bf16", way, kept=kept), full)
            del full


@dataclass(frozen=True)
class Case:
    """A song's begin, and its name."""

    size: str
    kind: str
    way: str  # eager, graph or compiled
    takes: int = 1
    kept: int = START
    steps: int = SHORT
    small_cache: bool = False

    @property
    def name(self) -> str:
        """For people."""
        takes = f", {self.takes} takes" if self.takes > 1 else ""
        position = RELEASED_CONFIGS[self.size].prefix_length + self.kept
        cache = ", int8 cache" if self.small_cache else ""
        return f"{self.size} {self.kind} {self.way}{takes}{cache} at {position}"


def measure_half(report: Report, setting: Setting, size: str, model: LeLM) -> None:
    """Everything of fp16."""
    for way, least in LEAST.items():
        bound = least if size == LARGE else None
        measure(report, setting, Case(size, "fp16", way, steps=WHOLE), model, bound)
    for way in LEAST:
        measure(report, setting, Case(size, "fp16", way, kept=LATER), model)
    measure_small_cache(report, setting, size, model)
    measure(report, setting, Case(size, "fp16", "eager", steps=FEW), model)
    for way in LEAST:
        count_kernels(report, setting, Case(size, "fp16", way), model)
    if size == LARGE:
        for way, kept in (("graph", START), ("compiled", START), ("graph", LATER)):
            measure(report, setting, Case(size, "fp16", way, 4, kept), model)


def measure_small_cache(report: Report, setting: Setting, size: str, model: LeLM) -> None:
    """Keys and values as bytes beside fp16 ones, in the same minute."""
    for kept in (START, LATER):
        for takes in (1, 4):
            both = (
                measure(report, setting, Case(size, "fp16", "graph", takes, kept, small_cache=small), model)
                for small in (False, True)
            )
            plain, small = both
            if plain and small:
                name = f"{Case(size, 'fp16', 'graph', takes, kept, small_cache=True).name}: speed of fp16's"
                report.add(name, plain.step / small.step, "x", least=1 if kept else None)


def measure_few_bits(report: Report, setting: Setting, size: str, half: LeLM) -> None:
    """int8 and int4 by the kernel and by blocks, beside fp16 once more, in the same minute."""
    plain = measure(report, setting, Case(size, "fp16 again", "graph"), half)
    kernel = triton_kernel(setting.device)
    if kernel is None:
        report.skip(f"{size} by Triton", "it is not there")
    for form in ("int8", "int4"):
        for by, chosen in (("Triton", kernel), ("blocks", None)):
            if by == "Triton" and kernel is None:
                continue
            with report.case(f"{size} {form} by {by}"):
                small = few_bits_on_card(half, form, chosen)
                speed = measure(report, setting, Case(size, f"{form} by {by}", "graph", steps=SHORT), small)
                if speed and plain and chosen:
                    ratio = plain.step / speed.step
                    report.add(f"{size} {form} by {by}: speed of fp16's", ratio, "x", least=1)
                    measure(report, setting, Case(size, f"{form} by {by}", "graph", kept=LATER), small)
                    measure(report, setting, Case(size, f"{form} by {by}", "graph", takes=4), small)
                del small


def measure(
    report: Report, setting: Setting, case: Case, model: LeLM, least: float | None = None
) -> Speed | None:
    """Time a case and report it; None if that failed."""
    with report.case(case.name):
        if case.way == "compiled" and case.kept == START:
            song = begin(setting, case, model, graph=False)
            first, again = (seconds(partial(between, song, (1,))) for _ in range(2))
            report.add(f"{case.name}: compiling", first - again, "s")
        speed = timed(begin(setting, case, model), case, model.config.prefix_length)
        note = f"{1e3 * speed.step:.2f} ms a step, launched in {1e3 * speed.host:.2f} ms"
        report.add(case.name, case.takes / speed.step, "steps/s", least=least, note=note)
        if case.steps == WHOLE:
            whole = case.takes / speed.whole
            report.add(f"{case.name}: all {WHOLE} steps, with captures", whole, "steps/s")
        return speed
    return None


def begin(setting: Setting, case: Case, model: LeLM, graph: bool = True) -> Begin:
    """Begins the song of a case."""
    block = {"block": FusedBlocks()} if case.way == "compiled" else {}
    how = setting.graph(**block, small_cache=case.small_cache)
    if case.way == "eager" or not graph:
        how = Execution(run=how.run)
    return setting.begin(model, case.takes, how, longest(model.config), case.kept)


def timed(song: Begin, case: Case, prefix: int) -> Speed:
    """Time a song that begins."""
    launched: list[float] = []

    def noting(on_step) -> None:
        def note(done: int, total: int) -> None:
            launched.append(time.perf_counter())
            on_step(done, total)

        song(note)

    first, last = steady(prefix + 1 + case.kept, case.steps)
    marks = sorted({0, first, last, case.steps})
    spent = dict(zip(marks[1:], between(noting, marks)[1:], strict=True))
    host = median(b - a for a, b in zip(launched[first:last], launched[first + 1 :], strict=False))
    return Speed(spent[last] / (last - first), sum(spent.values()) / case.steps, host)


def steady(position: int, steps: int) -> tuple[int, int]:
    """The longest run of steps that read one span of the cache, without its first ones.

    Args:
        position: positions that are known before step 1.
        steps: that are taken.

    Returns:
        The step before the first that counts, and the last.
    """
    spans = groupby(range(1, steps + 1), lambda step: (position + step - 1) // SPAN)
    longest_run = max((list(run) for _, run in spans), key=len)
    return longest_run[0] + WARM, longest_run[-1]


def count_kernels(report: Report, setting: Setting, case: Case, model: LeLM) -> None:
    """How many kernels a replayed step has, and the ones that take longest."""
    name = f"{case.name}: kernels of a step"
    if setting.dry:
        report.skip(name, "there is no card")
        return
    with report.case(name):
        spent: Counter[str] = Counter()
        count = 0
        for kernel, duration in kernels_of(begin(setting, case, model)):
            spent[kernel] += duration
            count += 1
        total = sum(spent.values()) / PROFILED
        report.add(name, count / PROFILED, "", note=f"{total / 1e3:.2f} ms of kernels")
        for kernel, duration in spent.most_common(TOP):
            print(f"    {duration / PROFILED:8.1f} us  {kernel[:90]}", flush=True)


def kernels_of(song: Begin) -> Iterator[tuple[str, float]]:
    """Name and microseconds of all that runs on the card in some replayed steps."""
    with profile(activities=[ProfilerActivity.CUDA]):  # what traces has to be there before a graph is made
        torch.zeros(1, device="cuda")
    profiler, step = profile(activities=[ProfilerActivity.CUDA]), -1

    def on_step(done: int, total: int) -> None:
        nonlocal step
        step += 1
        if step == 2 * WARM:
            clock()
            profiler.start()
        if step == 2 * WARM + PROFILED:
            clock()
            profiler.stop()
            raise Enough

    with suppress(Enough):
        song(on_step)
    for event in profiler.events():
        if event.device_type == DeviceType.CUDA and not event.name.startswith(("Memcpy", "Memset")):
            yield event.name, event.time_range.elapsed_us()


# -- What may slow the loop down in a server ---------------------------------------------------------------


def run_suspects(report: Report, setting: Setting) -> None:
    """The large model's graph with the allocator that this process has, and what else takes time."""
    backend = "none" if setting.dry else torch.cuda.get_allocator_backend()
    model = endless(random_model(setting.lelm[LARGE], setting.device, setting.dtype("fp16")))
    measure(report, setting, Case(LARGE, f"fp16, allocator {backend}", "graph", steps=WHOLE), model)
    with report.case("steps one by one"):
        steps = between(begin(setting, Case(LARGE, "fp16", "graph"), model), range(6))
        _, eager, captured, *replayed = steps
        report.add("first step of a span, as it is", 1e3 * eager, "ms")
        report.add("capturing a step", 1e3 * (captured - median(replayed)), "ms")
        report.add("a replayed step, waited for", 1e3 * median(replayed), "ms")
    objects = len(gc.get_objects())
    collecting = median(seconds(gc.collect) for _ in range(3))
    report.add("gc.collect()", 1e3 * collecting, "ms", note=f"{objects} objects")
