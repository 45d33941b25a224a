"""Cancel stops every long node at once and leaves nothing behind."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from support import songs
from support.comfy_server import ComfyServer, Message

AT_ONCE = 2.0  # seconds
MESSAGES_MOST = 5  # on their way when Cancel was pressed
LONG = {"seed": 5, "max_seconds": 48}  # in float32 a song that does not end before its limit
CASES = {
    "compose": (songs.COMPOSE, {"compose": LONG}),
    "render": (songs.RENDER, {"compose": {"max_seconds": 2}, "render": {"steps": 200}}),
    "decode": (songs.DECODE, {"compose": LONG, "loadlelm": songs.EXACT, "render": {"steps": 1}}),
}


@dataclass
class Canceller:
    """Presses Cancel at the first progress of a node and notes what comes after."""

    server: ComfyServer
    node: str
    pressed: float | None = None
    after: list[Message] = field(default_factory=list)

    def __call__(self, message: Message) -> None:
        if self.pressed is not None:
            self.after.append(message)
        elif message.type == "progress" and message.data["node"] == self.node:
            self.pressed = time.monotonic()
            self.server.interrupt()


@pytest.fixture(scope="module")
def whole(server: ComfyServer) -> songs.Song:
    """The song that nobody cancelled."""
    server.clear_cache()
    return songs.make(server)[0]


@pytest.mark.parametrize(("node", "changes"), CASES.values(), ids=CASES.keys())
def test_cancel_stops_a_node_at_once_and_the_next_prompt_makes_the_right_song(
    server: ComfyServer, whole: songs.Song, node: str, changes: dict
):
    server.clear_cache()
    cancel = Canceller(server, node)
    run = server.run(songs.song_prompt(**changes), on_message=cancel)
    finished = time.monotonic()
    assert run.status == "interrupted"
    assert run.error["node_id"] == node
    assert finished - cancel.pressed < AT_ONCE
    updates = [message for message in cancel.after if message.type == "progress"]
    assert len(updates) <= MESSAGES_MOST
    assert all(message.data["value"] < message.data["max"] for message in updates)

    again, run = songs.make(server)
    assert node not in run.cached
    assert np.array_equal(again.sound, whole.sound)
