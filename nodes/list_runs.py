"""Which songs of lists were given to which run of ComfyUI's queue, and which runs failed making them.

ComfyUI tells no node that another one failed, so its history is looked into: soon after a run, and before
the next one gives out songs.
"""

from __future__ import annotations

import logging
import threading

from ..levo.batch.attempts import Attempts
from ..levo.batch.saving import Planned
from .host import outcomes, prompts

SAVE_NODE = "LeVoSaveSong"  # whose failures, such as a full disk, are no song's
SENTENCE = 300  # characters of an error

log = logging.getLogger(__name__)
attempts: Attempts[tuple[str, str]] = Attempts()
# Graphs by run and node that gave out songs: a graph may have two such nodes.
_graphs: dict[tuple[str, str], prompts.Prompt] = {}
_settling = threading.Lock()


def begin(songs: list[Planned], node: str, prompt: prompts.Prompt) -> None:
    """Remember that this run makes songs, of which there is one at least."""
    run = outcomes.this_run()
    if run is None:
        return
    _graphs[run, node] = prompt
    attempts.begin((run, node), songs[0].folder, [planned.song for planned in songs])
    outcomes.when_ended(run, settle)


def settle() -> None:
    """Record the songs whose run has failed meanwhile."""
    with _settling:
        for begun in attempts.open():
            run, node = begun
            if outcomes.is_running(run):
                continue
            failure = _failure(outcomes.error_of(run), node, _graphs.pop(begun))
            try:
                if fault := attempts.end(begun, failure):
                    log.warning("%s", fault)
            except (ValueError, OSError) as error:  # the results cannot be read or written
                log.warning("A song that could not be made is not recorded: %s", error)


def _failure(error: dict | None, node: str, prompt: prompts.Prompt) -> str | None:
    """What went wrong behind the node that gave out songs; None if nothing did."""
    if error is None or error["node_type"] == SAVE_NODE:
        return None
    if node not in prompts.upstream(prompt, str(error["node_id"])):
        return None
    reason = (str(error["exception_message"]).strip() or str(error["exception_type"])).splitlines()[0]
    return f"{error['node_type']} could not make it: {reason[:SENTENCE].rstrip('.')}."
