"""The command line: what may be asked for, and what of it cannot be."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from .. import VERSION
from ..config import PRESETS, RENDER_GUIDANCE, Sampling
from ..layers.choices import AUTO, INT8
from ..song.stems import MODES, SUM
from . import help, job
from .job import Engine, Files, SongOptions
from .model_files import files_of, path_of
from .precision import ATTENTIONS, LELM_DTYPES, RENDERER_DTYPES, VAE_DTYPES
from .run import Place

EXAMPLE, REPORT = "example", "report"
STEMS = {mode.split()[0]: mode for mode in MODES}  # "sum to mix" is "sum" here
ON, OFF = "on", "off"
RELEASED = Sampling()
MOST_THREADS = 1_024


@dataclass(frozen=True)
class Cluster:
    """Where and how many workers of a Ray cluster are wanted."""

    address: str | None  # None for one on this machine, for this run alone
    workers: int | None  # None for as many as the cluster has room for
    gpus: float | None  # of a worker; None for one where there are any


@dataclass(frozen=True)
class Invocation:
    """What a command line asks for."""

    place: Place
    engine: Engine
    options: SongOptions
    cluster: Cluster | None
    verbose: bool


def read(argv: list[str]) -> Invocation:
    """A command line, without the program's name; ends the process with a sentence where it is wrong.

    Raises:
        ValueError: files or numbers are wrong, in a sentence.
    """
    args = _parser().parse_args(argv)
    files = files_of(args)
    songs = None if args.songs == EXAMPLE else Path(args.songs)
    list_folder = Path() if songs is None else songs.parent
    place = Place(
        songs,
        Path(args.out),
        Path(args.audio_folder) if args.audio_folder else list_folder,
        path_of("--library", args.library),
        args.skip_faulty,
        args.again,
        args.songs_a_run,
        args.quiet,
    )
    cluster = None
    if args.ray or args.ray_address:
        cluster = Cluster(args.ray_address, args.workers, args.gpus_per_worker)
    elif args.workers is not None or args.gpus_per_worker is not None:
        raise ValueError("--workers and --gpus-per-worker belong to --ray; add it, or leave them out.")
    return Invocation(place, _engine(args, files), _song_options(args), cluster, args.verbose)


def reporter() -> argparse.ArgumentParser:
    """The parser of `levo report`."""
    parser = argparse.ArgumentParser(
        prog="levo report",
        description="A table of what each song of a folder was asked to be and what it is: sections, "
        "seconds, how it ended, loudness, peak, clipped samples, silence.",
    )
    parser.add_argument("out", metavar="OUT", help="the folder that songs were made in")
    parser.add_argument("--json", action="store_true", help="one JSON object a line in place of the table")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="levo",
        usage=help.USAGE,
        description=help.ABOUT,
        epilog=help.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("songs", metavar="SONGS", help="the list, or the word example")
    parser.add_argument("out", metavar="OUT", help="folder of the songs; made if it is not there")
    parser.add_argument("--version", action="version", version=f"levo {VERSION}")
    for add in (_add_list, _add_weights, _add_song, _add_sampling, _add_machine, _add_cluster):
        add(parser)
    return parser


def _add_list(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("list")
    group.add_argument(
        "--library", metavar="FILE", help="prompt library (new_prompt.pt) that styles are drawn from"
    )
    group.add_argument("--audio-folder", metavar="FOLDER", help="of prompt audio; else the list's own")
    group.add_argument(
        "--skip-faulty",
        action="store_true",
        help="go on with the good lines, and pass over songs that could not be made before; without it a "
        "list with a faulty line is refused whole, and what failed is tried again",
    )
    group.add_argument(
        "--again", action="store_true", help="make finished songs again, and replace their files"
    )
    group.add_argument(
        "--songs-a-run", type=_count, default=0, metavar="N", help="make the first N that are left; 0: all"
    )


def _add_weights(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "weights",
        "Paths or file:// addresses; of the first three also `demo`, or `tiny` for random weights, which "
        "need no others for prompt audio. With --ray each machine needs them in the same place.",
    )
    for name, what in (
        (
            "--lelm",
            "LeLM: model.pt of a release, an MLX folder or its index.json, GGUF, or saved by LeVo Save "
            "Checkpoint",
        ),
        ("--renderer", "model_2.safetensors of model_septoken, or GGUF"),
        ("--vae", "autoencoder_music_1320k.ckpt, or GGUF"),
        ("--style-encoder", "model_2_fixed.safetensors of model_1rvq; for prompt audio"),
        ("--track-encoder", "for prompt audio, where --renderer is no published file"),
        ("--separator", "htdemucs.pth; for prompt audio"),
    ):
        group.add_argument(name, metavar="FILE", help=what)
    group.add_argument(
        "--vocabulary",
        metavar="FOLDER",
        help="Qwen2's vocab.json and merges.txt; else looked for beside --lelm and in the ComfyUI that "
        "this pack lies in; GGUF files have their own",
    )


def _add_song(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("songs")
    group.add_argument(
        "--kind",
        choices=list(job.TRACK),
        default=job.MIXED,
        help="mixed: voice and band. vocal: the voice alone. bgm: an instrumental. separate: mixed, and "
        "vocals and accompaniment as files of their own",
    )
    group.add_argument(
        "--stems",
        choices=list(STEMS),
        default=SUM.split()[0],
        help="for separate. sum: the tracks add up to the mix. rendered: all from the same noise. "
        "released: each from its own, as the published code",
    )
    group.add_argument("--seed", type=int, default=0, help="of every song, 0; takes have the next ones")
    group.add_argument("--takes", type=_positive, default=1, metavar="N", help="of each song, made at once")
    at_once = "songs composed at once, with memory for each; N may change a draw"
    group.add_argument("--batch", type=_positive, default=1, metavar="N", help=at_once)
    limit = "0: the checkpoint's own limit"
    group.add_argument("--max-seconds", type=float, default=0.0, metavar="S", help=limit)
    start = "where the 10 s of prompt audio start, or `loudest`"
    group.add_argument("--prompt-start", type=_start, default=0.0, metavar="S", help=start)
    group.add_argument(
        "--format",
        choices=list(job.SUFFIX),
        default=job.FLAC,
        help="FLAC or WAV, 16 or 24 bit; with title, lyrics, seed and settings in it",
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sampling and rendering", "What is not given is as --preset says.")
    presets = "; ".join(
        f"{name} has temperature {each.temperature:g}, top-k {each.top_k}, {each.steps} steps"
        for name, each in PRESETS.items()
    )
    group.add_argument(
        "--preset",
        choices=list(PRESETS),
        default=next(iter(PRESETS)),
        help=f"of published programs: {presets}",
    )
    group.add_argument("--temperature", type=float, help="0: always the likeliest code")
    group.add_argument("--top-k", type=int)
    group.add_argument("--top-p", type=float, help="above 0 in place of --top-k")
    group.add_argument(
        "--guidance", type=float, default=RELEASED.guidance, help=f"of composing; {RELEASED.guidance:g}"
    )
    looked_back = RELEASED.repetition_window
    group.add_argument(
        "--repetition-window", type=int, default=looked_back, help=f"codes less likely again; {looked_back}"
    )
    group.add_argument("--steps", type=int, help="of the renderer's solver")
    group.add_argument(
        "--render-guidance", type=float, default=RENDER_GUIDANCE, help=f"{RENDER_GUIDANCE:g}"
    )


def _add_machine(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument("--device", default=AUTO, help="auto, cpu, cuda, cuda:1, mps")
    group.add_argument("--dtype", choices=LELM_DTYPES, default=AUTO, help="of LeLM")
    group.add_argument("--renderer-dtype", choices=RENDERER_DTYPES, default=AUTO)
    group.add_argument("--vae-dtype", choices=VAE_DTYPES, default=AUTO, help="auto: fp32")
    group.add_argument("--attention", choices=ATTENTIONS, default=AUTO)
    group.add_argument(
        "--cache", choices=(job.AS_WEIGHTS, INT8), default=job.AS_WEIGHTS, help="LeLM's keys"
    )
    group.add_argument(
        "--compile", choices=(ON, OFF), default=OFF, help="fuse LeLM's step by torch.compile"
    )
    group.add_argument(
        "--low-memory",
        action="store_true",
        help="one model at a time on the card; takes rendered one by one",
    )
    group.add_argument(
        "--threads",
        type=_threads,
        metavar="N",
        help="of the CPU for each process; another number may round differently",
    )
    group.add_argument("-q", "--quiet", action="store_true", help="errors alone")
    group.add_argument("-v", "--verbose", action="store_true", help="what is loaded and how")


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Ray", 'Needs pip install ".[batch,ray]".')
    group.add_argument("--ray", action="store_true", help="make songs on a Ray cluster")
    group.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of a running cluster, such as auto or HOST:6379; else one on this machine for this run",
    )
    group.add_argument("--workers", type=_positive, metavar="N", help="else as many as there is room for")
    group.add_argument(
        "--gpus-per-worker",
        type=_share,
        metavar="X",
        help="1, 0.5 or 0; else 1 where the cluster has any",
    )


# What was given ------------------------------------------------------------------------------------------


def _engine(args: argparse.Namespace, files: Files) -> Engine:
    return Engine(
        files,
        args.device,
        args.dtype,
        args.renderer_dtype,
        args.vae_dtype,
        args.attention,
        args.cache == INT8,
        args.compile == ON,
        args.low_memory,
        threads=args.threads,
    )


def _song_options(args: argparse.Namespace) -> SongOptions:
    """How songs are made; raises SettingError for numbers that nothing can be made with."""
    preset = PRESETS[args.preset]
    numbers = dict(preset.sampling)
    for name in numbers:
        if (value := getattr(args, name)) is not None:
            numbers[name] = value
    sampling = Sampling(
        guidance=args.guidance,
        repetition_window=args.repetition_window,
        **numbers,  # type: ignore[arg-type]
    )
    return SongOptions(
        args.kind,
        STEMS[args.stems],
        args.seed,
        args.takes,
        args.max_seconds,
        sampling,
        preset.steps if args.steps is None else args.steps,
        args.render_guidance,
        args.prompt_start,
        args.format,
        args.batch,
    )


def _count(text: str) -> int:
    return _number(text, 0)


def _positive(text: str) -> int:
    return _number(text, 1)


def _threads(text: str) -> int:
    if (value := _positive(text)) > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{value} are more than {MOST_THREADS}")
    return value


def _number(text: str, least: int) -> int:
    value = int(text) if text.strip().isdecimal() else -1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
    return value


def _start(text: str) -> float | None:
    if text == "loudest":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither seconds nor `loudest`") from None


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (0 <= value < 1 or (value >= 1 and value.is_integer())):
        raise argparse.ArgumentTypeError(f"{text!r} is no share of a card; give 0, a fraction, or 1, 2 ...")
    return value
