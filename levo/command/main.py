"""The command `levo`: from its arguments to its exit status. What it says goes to standard error."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType

from . import arguments, report
from .backend import Backend, LocalBackend
from .job import Engine, SongOptions
from .run import REFUSED, run

STOPPED = 128  # and the number of the signal
PIPE = 13  # number of the signal that tells of it on Unix


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, without the program's name; gives the exit status."""
    args = list(sys.argv[1:] if argv is None else argv)
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt  # nothing else gets through Ray's waiting

    before = signal.signal(signal.SIGTERM, stop)
    try:
        return report.main(args[1:]) if args[:1] == [arguments.REPORT] else _make(args)
    except KeyboardInterrupt:
        number = received[0] if received else signal.SIGINT
        return _end(STOPPED + number, "Stopped; the same command goes on where it was.")
    except BrokenPipeError:  # who reads what is written, as `head`, has enough
        _write_nowhere()
        return STOPPED + PIPE
    except (ValueError, OSError) as error:
        return _end(REFUSED, f"levo: {error}")
    finally:
        signal.signal(signal.SIGTERM, before)


def _make(args: list[str]) -> int:
    invocation = arguments.read(args)
    quiet = invocation.place.quiet
    level = logging.INFO if invocation.verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    if invocation.engine.files.are_built_in and not quiet:
        sys.stderr.write(
            "The built-in models are small and sing nonsense; for music give --lelm, --renderer, --vae.\n"
        )
    return run(
        invocation.place, invocation.engine, invocation.options, partial(_backend, invocation.cluster)
    )


def _backend(cluster: arguments.Cluster | None, engine: Engine, options: SongOptions) -> Backend:
    if cluster is None:
        return LocalBackend(engine, options)
    from .cluster import RayBackend

    return RayBackend(cluster, engine, options)


def _write_nowhere() -> None:
    """Point standard output at nothing, so that Python does not complain when it ends."""
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def _end(status: int, sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return status
