"""What a sound file says of its song: title, lyrics, picture, and how each container holds them.

Knows bytes of containers, nothing of samples. FLAC and Opus take comments by name and a FLAC picture block;
MP3 and WAV take an ID3v2.4 tag, which libav writes without lyrics and comments that players show.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

FRONT_COVER = 3
BLOCK_BYTES = (1 << 24) - 1  # of a block of FLAC
MIME = b"image/jpeg"
UTF8 = b"\x03"
NO_LANGUAGE = b"XXX"
STREAM_INFO_END = 42  # of FLAC's mark and its first block
COMMENTS, PICTURE = 4, 6  # FLAC's numbers of blocks
LAST = 0x80  # in the first byte of FLAC's last block before the sound
PICTURE_COMMENT = "METADATA_BLOCK_PICTURE"  # as Opus files have the same block
ID3_TEXTS = {"title": b"TIT2", "artist": b"TPE1", "genre": b"TCON"}
ID3_PROSE = {"comment": b"COMM", "lyrics": b"USLT"}


@dataclass(frozen=True)
class Cover:
    """A front cover."""

    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True)
class FileTags:
    """What a file says of its song; what is empty is left out."""

    title: str = ""
    artist: str = ""
    genre: str = ""
    comment: str = ""
    lyrics: str = ""
    cover: Cover | None = None
    more: Mapping[str, str] = field(
        default_factory=dict
    )  # names that no player knows, as ComfyUI's workflow


def comments(tags: FileTags, pictured: bool = False) -> dict[str, str]:
    """Texts by their names in FLAC, Opus and WAV, in the order in which they are to be written.

    ComfyUI reads its own from the first page of an Opus file, so they come first and a picture last.

    Args:
        tags: of the song.
        pictured: with the cover among them, as Opus has it.
    """
    named = {
        each.name: getattr(tags, each.name) for each in fields(tags) if each.name not in ("cover", "more")
    }
    texts = {name: clean(text) for name, text in (*tags.more.items(), *named.items())}
    if pictured and tags.cover:
        texts[PICTURE_COMMENT] = base64.b64encode(picture(tags.cover)).decode()
    return {name: text for name, text in texts.items() if text}


def block_bytes(tags: FileTags) -> int:
    """What texts take in a FLAC, where all of them share a block of BLOCK_BYTES."""
    return sum(len(f"{name}={text}".encode()) + 4 for name, text in comments(tags).items())


def clean(text: str) -> str:
    """A text without what no tag holds: half characters, and the zero that ends one."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").strip()


def picture(cover: Cover) -> bytes:
    """A cover as FLAC's picture block holds it."""
    head = struct.pack(">II", FRONT_COVER, len(MIME)) + MIME + struct.pack(">I", 0)  # no description
    size = struct.pack(">IIIII", cover.width, cover.height, 24, 0, len(cover.jpeg))
    return head + size + cover.jpeg


def with_picture(flac: bytes, cover: Cover) -> bytes:
    """A FLAC file with a cover behind its first block, which is never its last."""
    block = picture(cover)
    head = struct.pack(">I", PICTURE << 24 | len(block))
    return flac[:STREAM_INFO_END] + head + block + flac[STREAM_INFO_END:]


def with_comments(flac: bytes, tags: FileTags) -> bytes:
    """A FLAC file with texts in the place of its own; as it was where they are more than a block holds."""
    start = 4  # behind FLAC's mark
    while flac[start] & ~LAST != COMMENTS:  # every writer of FLAC makes that block
        if flac[start] & LAST:
            return flac
        start += 4 + int.from_bytes(flac[start + 1 : start + 4], "big")
    end = start + 4 + int.from_bytes(flac[start + 1 : start + 4], "big")
    vendor = flac[start + 4 : start + 8 + int.from_bytes(flac[start + 4 : start + 8], "little")]
    texts = [f"{name}={text}".encode() for name, text in comments(tags).items()]
    counted = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    block = vendor + struct.pack("<I", len(texts)) + counted
    if len(block) > BLOCK_BYTES:
        return flac
    return flac[: start + 1] + len(block).to_bytes(3, "big") + block + flac[end:]


def with_chunk(wav: bytes, tags: FileTags) -> bytes:
    """A WAV file with an ID3 tag as its last chunk."""
    tag = id3(tags)
    if not tag:
        return wav
    tag += bytes(len(tag) % 2)
    size = struct.pack("<I", len(wav) - 8 + 8 + len(tag))
    return wav[:4] + size + wav[8:] + b"id3 " + struct.pack("<I", len(tag)) + tag


def id3(tags: FileTags) -> bytes:
    """An ID3v2.4 tag, with the texts that ComfyUI looks for at its start; nothing where nothing is said."""
    frames = [_frame(b"TXXX", _ended(name) + _ended(clean(text))) for name, text in tags.more.items()]
    texts = comments(tags)
    frames += [_frame(kind, _ended(texts[name])) for name, kind in ID3_TEXTS.items() if name in texts]
    for name, kind in ID3_PROSE.items():
        if name in texts:
            frames.append(_frame(kind, NO_LANGUAGE + _ended("") + _ended(texts[name])))
    if tags.cover:
        head = MIME + bytes([0, FRONT_COVER]) + _ended("")
        frames.append(_frame(b"APIC", head + tags.cover.jpeg))
    body = b"".join(frames)
    return b"ID3\x04\0\0" + _seven_bits(len(body)) + body if body else b""


def _frame(kind: bytes, body: bytes) -> bytes:
    return kind + _seven_bits(len(UTF8 + body)) + b"\0\0" + UTF8 + body


def _ended(text: str) -> bytes:
    return text.encode() + b"\0"


def _seven_bits(size: int) -> bytes:
    """A size as ID3 writes it: 28 bits in four bytes whose highest bit is clear."""
    return bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
