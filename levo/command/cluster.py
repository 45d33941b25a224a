"""Songs made on a Ray cluster: actors that load the models once, and take one song after the other.

Which machine an actor runs on, that it is started anew when it dies, and that a song which died with it is
tried once more, is Ray's. Ray is imported here alone, when it is asked for.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from ..batch.saving import Planned
from ..config import first_line
from ..layers.choices import AUTO
from .arguments import Cluster
from .backend import Failed, Ordering, batches, failed_or, ordered, reason_of
from .job import Engine, SongOptions
from .make import FinishedSong, Order, SongMaker, Watch
from .models import Models

log = logging.getLogger(__name__)

RETRIES = 1  # of a song whose worker died, or that failed for no reason that is known
STORE = 256 << 20  # bytes in which a cluster of our own keeps songs until they are saved; the rest on disk
ANSWERING = 10  # seconds until somebody listens at an address
STARTING = 600  # seconds until all workers have loaded their models
# What Ray reads when it is imported: nothing is sent to its makers.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# And a cluster of our own listens on loopback alone, as Ray's do where they are never of more machines.
LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


class Worker:
    """An actor: the models of a process, and what makes songs with them."""

    def __init__(self, engine: Engine, options: SongOptions):
        self._maker: SongMaker | None = None
        self._refusal = ""
        try:
            self._maker = SongMaker(Models(engine), options)
        except Exception as error:  # raised here it would reach nobody but as Ray's account of it
            self._refusal = reason_of(error)

    def refusal(self) -> str:
        """Why the models cannot be loaded; "" once they are."""
        return self._refusal

    def make(self, orders: Sequence[Order]) -> list[FinishedSong | Failed]:
        """Songs composed at once, in the order given, or why they cannot be made.

        Raises:
            Exception: of any kind; Ray tries once more.
        """
        if self._maker is None:
            raise RuntimeError(self._refusal)
        try:
            outcomes = dict(self._maker.make(orders))
        except RuntimeError as error:
            _leave_if_broken(error)
            raise
        for outcome in outcomes.values():
            if isinstance(outcome, Exception) and not isinstance(outcome, ValueError):
                _leave_if_broken(outcome)
                raise outcome
        return [failed_or(outcomes[place]) for place in range(len(orders))]


class RayBackend:
    """Makes songs with the actors of a cluster."""

    def __init__(self, cluster: Cluster, engine: Engine, options: SongOptions):
        """Start the actors and wait until their models are loaded.

        Raises:
            ValueError: there is no Ray, no such cluster, no room in it, or models cannot be loaded there.
        """
        self._ray = ray = _package(QUIET if cluster.address else QUIET | LOCAL)
        self._batch, threads = options.batch, engine.threads or 1
        _connect(ray, cluster, threads)
        try:
            self._workers = self._started(cluster, engine, options, threads)
        except BaseException:
            ray.shutdown()  # see `songs`
            raise

    def _started(self, cluster: Cluster, engine: Engine, options: SongOptions, threads: int) -> list[Any]:
        """Actors whose models are loaded; raises ValueError as `__init__`."""
        ray = self._ray
        gpus = _share(ray, cluster)
        device = "cpu" if engine.device == AUTO and not gpus else engine.device
        engine = replace(engine, threads=threads, device=device)
        needed = {"num_cpus": threads, "num_gpus": gpus}
        actor = ray.remote(**needed, max_restarts=-1, max_task_retries=RETRIES)(Worker)
        count = cluster.workers or _room(ray, gpus, threads)
        workers = [actor.remote(engine, options) for _ in range(count)]
        try:
            refusals = ray.get([worker.refusal.remote() for worker in workers], timeout=STARTING)
        except ray.exceptions.GetTimeoutError as error:
            raise ValueError(
                f"The cluster has not started {count} workers of {threads} CPUs and {gpus:g} GPUs in "
                f"{STARTING} s; ask for fewer --workers, or give it more machines."
            ) from error
        except ray.exceptions.RayError as error:
            raise ValueError(f"A worker could not be started: {first_line(error)}.") from error
        if any(refusals):
            raise ValueError(f"A worker could not load its models: {max(refusals)}")
        return workers

    def songs(
        self, planned: Iterable[Planned], order: Ordering, watch: Watch
    ) -> Iterator[tuple[Planned, FinishedSong | Failed]]:
        """See `levo.command.backend.Backend`; songs come as they are made; leaves the cluster then."""
        try:
            yield from self._songs(planned, order)
        finally:
            self._ray.shutdown()  # left to Python's own end it crashes now and then after Ctrl-C

    def _songs(
        self, planned: Iterable[Planned], order: Ordering
    ) -> Iterator[tuple[Planned, FinishedSong | Failed]]:
        ray, waiting = self._ray, batches(planned, self._batch)
        running: dict[Any, tuple[Any, list[Planned]]] = {}
        apart: list[list[Planned]] = []  # songs that failed together, which are tried one by one

        def give(worker: Any) -> Iterator[tuple[Planned, Failed]]:
            """Give a worker its next songs; those that nobody can be given have failed."""
            while batch := apart.pop(0) if apart else next(waiting, None):
                orders, unread = ordered(batch, order)  # unread: what a style comes from cannot be read
                yield from unread
                if orders:
                    task = worker.make.options(retry_exceptions=True).remote([each for _, each in orders])
                    running[task] = worker, [each for each, _ in orders]
                    return

        for worker in self._workers:
            yield from give(worker)
        while running:
            (done,), _ = ray.wait(list(running))
            worker, batch = running.pop(done)
            outcomes = self._outcomes(done, len(batch))
            if outcomes is None:
                apart += [[each] for each in batch]
            yield from give(worker)  # before the songs are saved, so that nobody waits
            if outcomes is not None:
                yield from zip(batch, outcomes, strict=True)

    def _outcomes(self, done: Any, count: int) -> list[FinishedSong | Failed] | None:
        """What a worker made; None where several songs failed, of which one may have been the cause."""
        ray = self._ray
        try:
            outcomes: list[FinishedSong | Failed] = ray.get(done)
            return outcomes
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            failed = Failed(reason_of(cause if isinstance(cause, Exception) else error))
        except ray.exceptions.RayError as error:
            failed = Failed(f"The worker that made it died, twice ({first_line(error)}).")
        return [failed] if count == 1 else None


def _leave_if_broken(error: Exception) -> None:
    """End this process where nothing works in it any more; Ray starts another."""
    if "CUDA error" in str(error):
        log.error("%s", error)
        os._exit(1)


def _package(settings: dict[str, str]) -> ModuleType:
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            'Ray is not installed; run "pip install ray" (or ".[batch,ray]" in the pack\'s folder).'
        ) from error
    module: ModuleType = ray
    return module


def _connect(ray: ModuleType, cluster: Cluster, threads: int) -> None:
    """Join the cluster, or make one on this machine, which ends with this process.

    Raises:
        ValueError: it does not answer.
    """
    ends = signal.getsignal(signal.SIGTERM)
    quietly = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
    try:
        if cluster.address is None:
            cpus = None if cluster.workers is None else max(cluster.workers * threads, os.cpu_count() or 1)
            ray.init(
                address="local",
                num_cpus=cpus,
                object_store_memory=STORE,
                include_dashboard=False,
                **quietly,
            )
        else:
            _require_answer(cluster.address)
            ray.init(address=cluster.address, **quietly)
    except ray.exceptions.AuthenticationError as error:
        reason = first_line(error).split(". ")[0]
        raise ValueError(
            f"The Ray cluster cannot be used ({reason}); make a token by ray get-auth-token --generate, "
            "or copy that of the cluster: see RAY_AUTH_MODE in Ray's *Token authentication*."
        ) from error
    except (ConnectionError, ValueError, RuntimeError, OSError, ray.exceptions.RayError) as error:
        where = cluster.address or "on this machine"
        raise ValueError(
            f"The Ray cluster {where} cannot be used ({first_line(error)}); start it by ray start --head, "
            "with the same RAY_AUTH_MODE and token as here."
        ) from error
    signal.signal(signal.SIGTERM, ends)  # Ray has put its own there


def _require_answer(address: str) -> None:
    """Raise a ConnectionError where nobody listens; Ray tries for minutes, and tells nobody."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:  # `auto`, or a way of Ray's own
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERING).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(getattr(error, "strerror", None) or "nobody answers") from error


def _share(ray: ModuleType, cluster: Cluster) -> float:
    """GPUs of a worker.

    Raises:
        ValueError: the cluster has none.
    """
    available = ray.cluster_resources().get("GPU", 0)
    share = cluster.gpus if cluster.gpus is not None else min(available, 1)
    if share > available:
        raise ValueError(f"The cluster has {available:g} GPUs; give --gpus-per-worker 0 to use its CPUs.")
    return float(share)


def _room(ray: ModuleType, gpus: float, threads: int) -> int:
    """How many workers the cluster has room for, one at least."""
    available = ray.cluster_resources()
    by_cpu = available.get("CPU", 0) / threads
    return max(1, int(min(by_cpu, available.get("GPU", 0) / gpus) if gpus else by_cpu))
