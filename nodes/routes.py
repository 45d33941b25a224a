"""What the editors in the browser ask the server: JSON in, JSON out, below /levo/."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from server import PromptServer

from ..levo.config import RELEASED_CONFIGS
from ..levo.files.checkpoint import open_checkpoint
from ..levo.files.tensor_file import CheckpointError
from ..levo.kinds import MODELS, Kind
from ..levo.text import editing, lyrics, style
from .host import folders

MAX_BYTES = 20_000  # of a question; the longest song takes a few thousand
LONGEST = max(config.max_seconds for config in RELEASED_CONFIGS.values())


def register() -> None:
    """Add the routes to the running server; nothing without one."""
    if PromptServer.instance is not None:
        routes = PromptServer.instance.routes
        routes.post("/levo/lyrics")(_answering(lyrics_report))
        routes.post("/levo/description")(_answering(description_report))


def lyrics_report(question: dict[str, Any]) -> dict[str, Any]:
    """What an editor of lyrics shows.

    Args:
        question: `text`, and maybe `checkpoint`, as LeVo Load LeLM names it.

    Returns:
        `sections` with their tag, line and rough seconds; `seconds` of all; `limit`, the seconds that the
        checkpoint composes at most; `problem`, the first, with its line, or None; `tidy`, the text as it
        would be tidy, or None; `tags` that there are.
    """
    found = editing.report(_text(question, "text"))
    problem = found.problem and {"line": found.problem.line, "text": str(found.problem)}
    return {
        "sections": [
            {"tag": s.tag, "line": s.line, "seconds": round(s.seconds, 1)} for s in found.sections
        ],
        "seconds": round(found.seconds, 1),
        "limit": limit_of(_text(question, "checkpoint", "")),
        "problem": problem,
        "tidy": found.tidy,
        "tags": lyrics.TAGS,
    }


def description_report(question: dict[str, Any]) -> dict[str, Any]:
    """What an editor of tags shows: the joined `description`, or the `problem` with a field; else None."""
    fields = {name: _text(question, name) for name in question}
    try:
        return {"description": style.describe(**fields), "problem": None}
    except style.StyleError as error:
        return {"description": None, "problem": str(error)}


def limit_of(checkpoint: str) -> float:
    """Seconds that a checkpoint composes at most; of the longest release if there is no such file."""
    try:
        path = folders.path_of(Kind.LELM, checkpoint)
        return (open_checkpoint(path).config(Kind.LELM) if path else MODELS[Kind.LELM].tiny).max_seconds
    except (CheckpointError, OSError):
        return LONGEST


def _text(question: dict[str, Any], name: str, default: str | None = None) -> str:
    value = question.get(name, default)
    if not isinstance(value, str):
        raise web.HTTPBadRequest(text=f"{name} must be a text.")
    return value


def _answering(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable:
    """A handler that reads a JSON object of limited size and sends the answer to it."""

    async def handle(request: web.Request) -> web.Response:
        try:
            question = json.loads(await _body(request))
            if not isinstance(question, dict):
                raise ValueError
            return web.json_response(await asyncio.to_thread(answer, question))
        except web.HTTPException as error:
            return web.json_response({"error": error.text}, status=error.status)
        except (ValueError, RecursionError):
            return web.json_response({"error": "The question must be a JSON object."}, status=400)

    return handle


async def _body(request: web.Request) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise web.HTTPRequestEntityTooLarge(
                MAX_BYTES, text=f"The question is longer than {MAX_BYTES} bytes."
            )
    return bytes(body)
