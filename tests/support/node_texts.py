"""The lines that nodes show while a prompt runs, which ComfyUI sends as binary messages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from websocket import WebSocket, create_connection

from support.comfy_server import END_STATUS, ComfyServer

TEXT = (3).to_bytes(4, "big")  # the kind of message


def texts_of(server: ComfyServer, queued: dict[str, Any], node: str = "1") -> list[str]:
    """What a node of a prompt shows as text while it runs, as it is sent: escaped for HTML."""
    client, texts = uuid.uuid4().hex, []
    start = TEXT + len(node).to_bytes(4, "big") + node.encode()
    url = f"ws://127.0.0.1:{server.port}/ws?clientId={client}"
    with closing(create_connection(url, timeout=60, http_no_proxy=["127.0.0.1"])) as listener:
        listener.recv()
        server.queue(queued, client)
        for frame in _frames(listener):
            if frame.startswith(start):
                texts.append(frame[len(start) :].decode())
    return texts


def _frames(listener: WebSocket) -> Iterator[bytes]:
    """The binary messages until a prompt ends."""
    while True:
        frame = listener.recv()
        if isinstance(frame, bytes):
            yield frame
        elif json.loads(frame)["type"] in END_STATUS:
            return
