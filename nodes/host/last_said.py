"""What nodes said last, in the run that goes on or in the last one: for pages that were opened since.

ComfyUI sends such texts to all pages, once; who comes later, or loads the page anew, asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import outcomes


@dataclass
class _Run:
    id: str | None = None
    texts: dict[str, str] = field(default_factory=dict)  # by the ids of nodes


_last = _Run()


def remember(node_id: str, text: str) -> None:
    """Note what a node says, in the run that goes on."""
    global _last
    if _last.id != outcomes.this_run():
        _last = _Run(outcomes.this_run())
    _last.texts[node_id] = text


def forget(node_id: str) -> None:
    """A node starts, or failed: what it said is no longer so."""
    _last.texts.pop(node_id, None)


def report() -> dict[str, Any]:
    """What a page is told.

    Returns:
        `run`, the id of the run that goes on, or of the last in which something was said; `running`;
        `nodes`, the classes of all nodes of a run that goes on, by their ids; `said`, texts by the ids of
        nodes; `error`, of a run that failed: `node` and `text`, else None.
    """
    last, running = _last, outcomes.running()
    run = running[0] if running else last.id
    error = outcomes.error_of(run) if run and not running else None
    classes = {id: str(node.get("class_type")) for id, node in (running[1] if running else {}).items()}
    return {
        "run": run,
        "running": running is not None,
        "nodes": classes,
        "said": dict(last.texts) if run == last.id else {},
        "error": error and {"node": error["node_id"], "text": str(error["exception_message"]).strip()},
    }
