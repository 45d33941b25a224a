"""The routes that the editors in the browser ask."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.comfy_server import ComfyServer, Response

from levo import tiny

LYRICS, DESCRIPTION = "/levo/lyrics", "/levo/description"
TINY = "tiny (built in, random weights: sounds like noise)"
FIELDS = {"gender": "female", "genre": "Pop Rock", "emotion": "", "instruments": "piano, drums", "tags": ""}


def test_lyrics_are_answered_with_sections_seconds_problem_and_a_tidy_text(server: ComfyServer):
    answer = server.post(LYRICS, {"text": "[intro]\n[verse]\nGood morning\n[Hook]\nla la"})
    assert [(s["tag"], s["line"]) for s in answer["sections"]] == [
        ("intro-short", 1),
        ("verse", 2),
        ("chorus", 4),
    ]
    assert answer["seconds"] == sum(section["seconds"] for section in answer["sections"])
    assert answer["problem"]["line"] == 4
    assert answer["problem"]["text"].startswith("Lyrics line 4: [Hook] is not a section")
    assert answer["tidy"] == "[intro-short]\n\n[verse]\nGood morning\n\n[chorus]\nla la"
    assert "verse" in answer["tags"]
    assert server.post(LYRICS, {"text": answer["tidy"]})["problem"] is None


@pytest.mark.parametrize(
    ("checkpoint", "limit"),
    [(TINY, tiny.LELM.max_seconds), ("", 270), ("no such file", 270), ("../../../etc/passwd", 270)],
)
def test_the_limit_is_the_checkpoints_own_or_the_longest(
    server: ComfyServer, checkpoint: str, limit: float
):
    assert server.post(LYRICS, {"text": "", "checkpoint": checkpoint})["limit"] == limit


def test_tags_are_answered_with_their_list_or_the_problem(server: ComfyServer):
    assert server.post(DESCRIPTION, FIELDS) == {
        "description": "female, pop rock, piano, drums.",
        "problem": None,
    }
    answer = server.post(DESCRIPTION, FIELDS | {"tags": "a song about the sea at night"})
    assert answer["description"] is None
    assert answer["problem"].startswith("Description field 'tags': \"a song about the sea")


@pytest.mark.parametrize("path", [LYRICS, DESCRIPTION])
@pytest.mark.parametrize("question", [["text"], "text", {"text": 3}, {"text": None}])
def test_a_question_of_another_shape_is_refused(server: ComfyServer, path: str, question: Any):
    answer = server.post(path, question)
    assert isinstance(answer, Response)
    assert answer.status == 400
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 19_000])
def test_what_is_no_json_is_refused(server: ComfyServer, body: bytes):
    assert requests.post(server.url + LYRICS, data=body, timeout=30).status_code == 400


def test_a_question_that_is_too_long_is_refused(server: ComfyServer):
    answer = server.post(LYRICS, {"text": "la " * 10_000})
    assert isinstance(answer, Response)
    assert (answer.status, answer.content_type) == (413, "application/json")
