"""What the nodes of texts and their routes make of odd inputs; printed as JSON.

Run by test_comfy_texts.py in a process of its own, because it imports ComfyUI.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import support.hosted  # noqa: F401  # first: it starts ComfyUI and imports the pack

# isort: split
import pytest
from aiohttp import ClientSession, web
from levo_pack.nodes import routes
from levo_pack.nodes.conditioning import LeVoConditioning, LeVoDescription, LeVoLyrics
from support.free_port import free_port

ODD = {"None": None, "a number": 3, "a list": ["la"], "an empty list": [], "bytes": b"la"}
ODD["half"] = "la \ud83d"
FIELDS = dict.fromkeys(("genre", "emotion", "instruments", "tags"), "")
SONG = {"kind": "song", "lyrics": "[verse] la"}
NODES: dict[str, Callable[[Any], Any]] = {
    "lyrics": lambda odd: LeVoLyrics.execute(odd),
    "description": lambda odd: LeVoDescription.execute("any", **(FIELDS | {"genre": "pop", "tags": odd})),
    "gender": lambda odd: LeVoDescription.execute(odd, **(FIELDS | {"genre": "pop"})),
    "song": lambda odd: LeVoConditioning.execute(**(SONG | {"lyrics": odd})),
    "tags": lambda odd: LeVoConditioning.execute(**SONG, description=odd),
    "instrumental": lambda odd: LeVoConditioning.execute("instrumental", lyrics=odd, description="pop"),
}


def outcome(node: Callable[[Any], Any], odd: Any) -> str:
    """What a node gives, or its sentence."""
    try:
        made = node(odd).args[0]
    except ValueError as error:
        return str(error)
    return made if isinstance(made, str) else f"lyrics {made.lyrics!r}, tags {made.tags!r}"


def checks() -> dict[str, list[Any]]:
    """What LeVo Lyrics says of a wrong heading before a prompt runs and while it does."""
    texts = {"short": "[zzz]", "longest": f"[zzz]{' ' * 19_995}", "too long": f"[zzz]{' ' * 19_996}"}
    return {
        name: [LeVoLyrics.validate_inputs(text), outcome(NODES["lyrics"], text)]
        for name, text in texts.items()
    }


def limit_of(found: Any, config: Any) -> float:
    """What the lyrics panel takes for the limit of a checkpoint."""

    def giving(value: Any) -> Callable[..., Any]:
        def give(*_: Any) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return give

    checkpoint = SimpleNamespace(config=giving(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routes.folders, "path_of", giving(found))
        patch.setattr(routes, "open_checkpoint", lambda path: checkpoint)
        return routes.limit_of("any")


def limits() -> dict[str, float]:
    errors = (KeyError("a"), RecursionError(), TypeError("x"), MemoryError(), ValueError("embedded null"))
    found = {f"file: {error!r}": limit_of(error, None) for error in errors}
    found |= {f"config: {error!r}": limit_of("path", error) for error in errors}
    for seconds in (float("nan"), float("inf"), -5, 0, None, "long", 10**400):
        found[f"{seconds!r:.9}"] = limit_of("path", SimpleNamespace(max_seconds=seconds))
    return found | {"good": limit_of("path", SimpleNamespace(max_seconds=150.0))}


async def slow() -> dict[str, Any]:
    """Two questions that take too long, and one beside them that nobody has thread for, then a good one."""

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        time.sleep(float(question["text"]))
        return {"answered": question["text"]}

    app = web.Application()
    app.router.add_post("/", routes._answering(answer))
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with ClientSession() as client:

        async def ask(text: str) -> tuple[float, int, dict[str, Any]]:
            start = time.monotonic()
            async with client.post(f"http://127.0.0.1:{port}/", json={"text": text}) as response:
                return time.monotonic() - start, response.status, await response.json()

        together = await asyncio.gather(*map(ask, ("1.6", "1.6", "0")))
        await asyncio.sleep(1)
        after = await ask("0")
    await runner.cleanup()
    return {"together": together, "after": after}


def main() -> None:
    made = {name: {kind: outcome(node, odd) for kind, odd in ODD.items()} for name, node in NODES.items()}
    answers = {"nodes": made, "checks": checks(), "limits": limits(), "slow": asyncio.run(slow())}
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
