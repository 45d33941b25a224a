"""What the editors in the browser ask the server: JSON in, JSON out, below /levo/.

Questions, answers and the time between them are limited; what texts mean, levo/text/ knows.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web
from server import PromptServer

from ..levo.config import RELEASED_CONFIGS
from ..levo.files.checkpoint import open_checkpoint
from ..levo.kinds import MODELS, Kind
from ..levo.text import editing, lyrics, style
from ..levo.text.tags import shortened
from .host import folders, last_said

MAX_BYTES = 65_536  # of a question
MAX_CHARACTERS = 20_000  # of its texts; the longest song takes a few thousand
MAX_SECONDS = 0.8  # that a question is thought about
MAX_SECTIONS = 200  # that are shown
MAX_SHOWN = 500  # characters of a sentence
MAX_NAME = 40  # characters
# Threads of their own, so that texts that take long keep nothing else of ComfyUI waiting.
CHECKS = ThreadPoolExecutor(2, "levo-check")
log = logging.getLogger(__name__)
LONGEST = max(config.max_seconds for config in RELEASED_CONFIGS.values())


def register() -> None:
    """Add the routes to the running server; nothing without one."""
    if PromptServer.instance is not None:
        routes = PromptServer.instance.routes
        routes.post("/levo/lyrics")(_answering(lyrics_report))
        routes.post("/levo/description")(_answering(description_report))
        routes.post("/levo/said")(_answering(lambda question: last_said.report()))


def lyrics_report(question: dict[str, Any]) -> dict[str, Any]:
    """What an editor of lyrics shows.

    Args:
        question: `text`, and maybe `checkpoint`, as LeVo Load LeLM names it.

    Returns:
        `sections`, the first MAX_SECTIONS, with their tag, line and rough seconds; `seconds` of all;
        `limit`, the seconds that the checkpoint composes at most; `problem`, the first, with its line, or
        None; `tidy`, the text as it would be tidy, or None, also where it would be too long for a question;
        `tags` that there are.
    """
    report = editing.report(_text(question, "text"))
    tidy = report.tidy
    return {
        "sections": [
            {"tag": s.tag, "line": s.line, "seconds": round(s.seconds, 1)}
            for s in report.sections[:MAX_SECTIONS]
        ],
        "seconds": round(report.seconds, 1),
        "limit": limit_of(_text(question, "checkpoint", "")),
        "problem": report.problem and _problem(report.problem),
        "tidy": tidy if tidy and len(tidy) <= MAX_CHARACTERS else None,
        "tags": lyrics.TAGS,
    }


def description_report(question: dict[str, Any]) -> dict[str, Any]:
    """What an editor of tags shows: the joined `description`, or the `problem` with a field; else None."""
    fields = {name: _text(question, name) for name in question}
    try:
        answer = {"description": style.describe(**fields), "problem": None}
    except style.StyleError as error:
        answer = {"description": None, "problem": shortened(str(error), MAX_SHOWN)}
    _refuse_long(answer)
    return answer


def limit_of(checkpoint: str) -> float:
    """Seconds that a checkpoint composes at most; of the longest release if no such file can be read."""
    try:
        path = folders.path_of(Kind.LELM, checkpoint)
        config = open_checkpoint(path).config(Kind.LELM) if path else MODELS[Kind.LELM].tiny
        seconds = float(config.max_seconds)
        return seconds if 0 < seconds < math.inf else LONGEST
    except Exception as error:  # what is wrong with a file, its loader says
        log.debug("no limit of %.80r: %r", checkpoint, error)
        return LONGEST


def _problem(error: lyrics.LyricsError) -> dict[str, Any]:
    return {"line": error.line, "text": shortened(str(error), MAX_SHOWN)}


def _text(question: dict[str, Any], name: str, default: str | None = None) -> str:
    value = question.get(name, default)
    if len(name) > MAX_NAME:
        raise web.HTTPBadRequest(text="The question has a name that is too long.")
    if not isinstance(value, str):
        raise web.HTTPBadRequest(text=f"{name} must be a text.")
    return value


def _answering(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable:
    """A handler that reads a JSON object of limited size and sends the answer to it in limited time."""

    async def handle(request: web.Request) -> web.Response:
        try:
            question = json.loads(await _body(request))
            if not isinstance(question, dict):
                raise ValueError
            _refuse_long(question)
            thinking = asyncio.get_running_loop().run_in_executor(CHECKS, answer, question)
            return web.json_response(await asyncio.wait_for(thinking, MAX_SECONDS))
        except asyncio.TimeoutError:
            return _error(_too_long(f"The text takes longer than the {MAX_SECONDS} s"))
        except web.HTTPException as error:
            return _error(error)
        except (ValueError, RecursionError):
            return _error(web.HTTPBadRequest(text="The question must be a JSON object."))

    return handle


def _error(error: web.HTTPException) -> web.Response:
    response = web.json_response({"error": error.text}, status=error.status)
    response.force_close()  # a part of the question may be unread
    return response


def _refuse_long(question: dict[str, Any]) -> None:
    length = sum(len(text) for text in question.values() if isinstance(text, str))
    if length > MAX_CHARACTERS:
        raise _too_long(f"The text has {length} characters, more than the {MAX_CHARACTERS}")


async def _body(request: web.Request) -> bytes:
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        await _pass_over(request)
        raise web.HTTPUnsupportedMediaType(text="The question must be sent as it is, not compressed.")
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _too_long(f"The text takes more bytes than the {MAX_BYTES}")
    return bytes(body)


async def _pass_over(request: web.Request) -> None:
    """Read a body, as far as it may go, without a word of it in the log, which gets what breaks later."""
    try:
        read = 0
        async for chunk in request.content.iter_any():
            read += len(chunk)
            if read > MAX_BYTES:
                break
    except web.RequestPayloadError:  # aiohttp could not unpack it
        request.content.feed_eof()


def _too_long(what: str) -> web.HTTPException:
    advice = "that a check while you type may take; shorten it, or run the node, which checks all of it"
    return web.HTTPRequestEntityTooLarge(MAX_BYTES, text=f"{what} {advice}.")
