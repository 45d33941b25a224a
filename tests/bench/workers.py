"""`make bench`: two workers of a Ray cluster on this machine against one, in songs an hour.

Songs of the tiny models, one thread a worker, on the CPU; loading is not counted. The ratio is what two
workers gain where each has a core of its own. Argument: songs (8).
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import support.pack  # noqa: F401
from bench.table import machine, seconds, show
from support.listed_songs import song

from levo.batch.saving import Planned
from levo.command.arguments import Cluster
from levo.command.backend import Failed
from levo.command.cluster import RayBackend
from levo.command.job import Engine, SongOptions
from levo.command.make import Order, unwatched

LENGTH = 2.0  # seconds of a song


def spent(workers: int, songs: int) -> float:
    """Seconds that workers take for songs, once their models are loaded and each has made one."""
    import ray

    with TemporaryDirectory() as folder:
        planned = [Planned(song(f"song {n}"), Path(folder), "", ()) for n in range(songs + workers)]
        makers = RayBackend(Cluster(None, workers, 0), Engine(threads=1), SongOptions(max_seconds=LENGTH))

        def make(some: list[Planned]) -> None:
            made = list(makers.songs(some, lambda each: Order(each.song), unwatched))
            assert not any(isinstance(outcome, Failed) for _, outcome in made)

        make(list(islice(planned, workers)))
        taken = seconds(lambda: make(planned[workers:]))
    ray.shutdown()
    return taken


def main() -> int:
    songs = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    one, two = (spent(workers, songs) for workers in (1, 2))
    show(
        f"Ray: {songs} songs of {LENGTH:g} s by the tiny models, {machine()}",
        ["workers", "songs an hour", "to one"],
        [[str(n), f"{songs / t * 3600:.0f}", f"{one / t:.2f}"] for n, t in ((1, one), (2, two))],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
