"""The routes that the editors in the browser ask."""

from __future__ import annotations

import gzip
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
import requests
import torch
from support.comfy_server import ComfyServer, Response
from support.sentences import assert_one_sentence

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


def ask(server: ComfyServer, path: str, body: bytes, **headers: str) -> requests.Response:
    """POST bytes as they are; a second, and the machine may be busy."""
    start = time.monotonic()
    answer = requests.post(server.url + path, data=body, headers=headers, timeout=30)
    assert time.monotonic() - start < 2
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer


KILOBYTES_64 = 65_536 - len('{"text": ""}')
SHAPES = {
    "letters": "a",
    "escapes": "\\u00e9",
    "escapes of accents": "\\u0301\\u0316",
    "escapes of halves": "\\ud83d",
    "emoji": "\\ud83d\\ude00",
    "new lines": "\\n",
    "headings": "[chorus]\\n",
    "phrases and headings": "[chorus]\\nla\\n[verse]\\n",
    "repeats": "la x8. ",
    "brackets": "(",
    "square brackets": "[",
    "unknown sections": "[hook] la ",
    "commas": "a,",
    "Chinese": "\u597d\uff0c",
    "squares that unfold": "\\u3356,",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("path", [LYRICS, DESCRIPTION])
def test_64_kilobytes_are_answered_within_a_second_and_in_few_words(
    server: ComfyServer, path: str, shape: str
):
    piece = SHAPES[shape]
    texts = ["[verse] " + piece * (KILOBYTES_64 // len(piece.encode()) - 8)]
    texts.append("[chorus]\\n" + "la.\\n" * 500 + piece * (16_000 // len(piece.encode())))
    for text in texts:
        answer = ask(server, path, f'{{"text": "{text}"}}'.encode())
        assert answer.status_code in (200, 413)
        assert len(answer.content) < 250_000
        if answer.status_code == 413:
            assert_one_sentence(answer.json()["error"])
            assert "while you type" in answer.json()["error"]


def test_what_is_shown_of_a_long_text_has_bounds(server: ComfyServer):
    answer = server.post(LYRICS, {"text": "[inst-short]\n" * 1_000})
    assert len(answer["sections"]) == 200
    assert answer["seconds"] == 5_000
    answer = server.post(LYRICS, {"text": f"[{'x' * 19_000}]"})
    assert len(answer["problem"]["text"]) <= 500
    answer = server.post(DESCRIPTION, {"tags": "x " * 9_000})
    assert len(answer["problem"]) < 200
    refused = server.post(DESCRIPTION, {"x" * 30_000: "folk]"})
    assert refused.status == 400
    assert len(refused.body) < 200


@pytest.mark.parametrize("path", [LYRICS, DESCRIPTION])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "GZIP", "x-gzip", "compress", "gzip, deflate"])
@pytest.mark.parametrize("broken", [False, True])
def test_a_body_that_is_compressed_is_refused(server: ComfyServer, path: str, encoding: str, broken: bool):
    body = b'{"text": "[verse] la"}'
    packed = gzip.compress(body) if "gzip" in encoding.lower() else zlib.compress(body)
    before = server.log()
    answer = ask(server, path, b"no such thing" if broken else packed, **{"Content-Encoding": encoding})
    assert answer.status_code == 415
    assert_one_sentence(answer.json()["error"])
    assert "Traceback" not in server.log()[len(before) :]


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_a_body_that_aiohttp_has_no_unpacker_for_is_refused_by_it_or_us(server: ComfyServer, encoding: str):
    before = server.log()
    packed = {"Content-Encoding": encoding}
    answer = requests.post(server.url + LYRICS, data=b"no such thing", headers=packed, timeout=30)
    assert answer.status_code in (400, 415)
    assert encoding in answer.text or "not compressed" in answer.text
    assert "Unhandled exception" not in server.log()[len(before) :]


def test_a_body_that_unfolds_to_more_than_a_question_is_not_read_on(server: ComfyServer):
    bomb = gzip.compress(b" " * 100_000_000)
    assert ask(server, LYRICS, bomb, **{"Content-Encoding": "gzip"}).status_code == 415


def test_a_body_that_says_it_is_no_more_than_itself_is_answered(server: ComfyServer):
    for encoding in ("identity", "Identity", ""):
        answer = ask(server, LYRICS, b'{"text": "[verse] la"}', **{"Content-Encoding": encoding})
        assert (answer.status_code, answer.json()["problem"]) == (200, None)


@pytest.mark.parametrize(
    ("path", "question", "start"),
    [
        (LYRICS, {"text": "[verse]\nla \ud83d"}, "Lyrics line 2: half a character (U+D83D"),
        (DESCRIPTION, {"tags": "sad \ude00"}, "Description field 'tags' has half a character (U+DE00"),
    ],
)
def test_half_a_character_is_a_problem_with_its_place(
    server: ComfyServer, path: str, question: dict, start: str
):
    problem = server.post(path, question)["problem"]
    said = problem["text"] if path == LYRICS else problem
    assert said.startswith(start)
    assert_one_sentence(said)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 cut off", b"[" * 100_000, b'\x10\0\0\0\0\0\0\0{"a":{"dtype":3}}', None],
)
def test_a_checkpoint_that_cannot_be_read_limits_nothing(server: ComfyServer, content: bytes | None):
    path = Path(server.base) / "models" / "levo" / "odd.pt"
    path.parent.mkdir(exist_ok=True)
    if content is None:
        torch.save({0: torch.zeros(2), ("a", 1): 3}, path)
    else:
        path.write_bytes(content)
    try:
        for name in ("odd.pt", "odd.pt (0 MB)", "v2-medium", "odd\0.pt", "\ud83d.pt", "x" * 5_000):
            answer = server.post(LYRICS, {"text": "[verse] la", "checkpoint": name})
            assert answer["limit"] == 270, name
    finally:
        path.unlink()


def test_a_question_that_is_too_long_is_refused(server: ComfyServer):
    answer = server.post(LYRICS, {"text": "la " * 10_000})
    assert isinstance(answer, Response)
    assert (answer.status, answer.content_type) == (413, "application/json")
