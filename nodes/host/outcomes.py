"""How runs of ComfyUI's queue ended, for nodes that keep account of what they gave to one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server import PromptServer

from .prompts import Prompt

POLL_SECONDS = 0.2


def this_run() -> str | None:
    """The id of what runs now."""
    return getattr(PromptServer.instance, "last_prompt_id", None)


def running() -> tuple[str, Prompt] | None:
    """The id and the graph of what runs now; None if nothing does."""
    queue = PromptServer.instance.prompt_queue
    with queue.mutex:
        return next(((item[1], item[2]) for item in queue.currently_running.values()), None)


def is_running(run: str) -> bool:
    """Whether a run has not ended."""
    queue = PromptServer.instance.prompt_queue
    with queue.mutex:
        return any(item[1] == run for item in queue.currently_running.values())


def error_of(run: str) -> dict | None:
    """What ComfyUI says of the error that ended a run; None if it went well, was cancelled or is unknown.

    Returns:
        With `node_id`, `node_type`, `exception_message`.
    """
    history = PromptServer.instance.prompt_queue.get_history(run, map_function=lambda entry: entry)
    status = history.get(run, {}).get("status") or {}
    return next((data for event, data in status.get("messages", ()) if event == "execution_error"), None)


def when_ended(run: str, call: Callable[[], None]) -> None:
    """Call something, in a thread, soon after a run has ended."""

    async def wait() -> None:
        while is_running(run):
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.to_thread(call)

    asyncio.run_coroutine_threadsafe(wait(), PromptServer.instance.loop)
