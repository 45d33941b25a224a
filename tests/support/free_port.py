"""A port for a server of a test."""

from __future__ import annotations

import socket
from contextlib import closing


def free_port() -> int:
    """A TCP port of this machine nobody listens on just now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
