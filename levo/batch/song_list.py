"""Lists of songs to make, as the published code reads them: a file with one JSON object a line.

`idx` names the song and `gt_lyric` holds its lyrics; `descriptions` (style tags), `prompt_audio_path` and
`auto_prompt_audio_type` (a style of the prompt library) may be left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..text.lyrics import LyricsError, parse
from ..text.style import describe

IDX, LYRICS, DESCRIPTION = "idx", "gt_lyric", "descriptions"
AUDIO, STYLE = "prompt_audio_path", "auto_prompt_audio_type"
FIELDS = (IDX, LYRICS, DESCRIPTION, AUDIO, STYLE)
NAME_LENGTH = 100  # characters of a file's name without its ending
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # devices of Windows
EXAMPLE = """\
{"idx": "paper_boats", "gt_lyric": "[intro-short] ; [verse] Paper boats on a silver stream. I fold the \
morning into a dream ; [chorus] Hold on, hold on to the light. We were lanterns in the night ; \
[outro-short]", "descriptions": "female, pop, wistful, piano, drums"}
{"idx": "iron_road", "gt_lyric": "[intro-short] ; [verse] Engines hum beneath the rain. I count the miles \
and count again ; [chorus] Roll on, roll on, iron road. Take me where the rivers go ; [outro-short]", \
"descriptions": "male, rock, energetic, electric guitar, drums"}
"""


class SongListError(ValueError):
    """A list, or lines of it, that cannot be used; the text is for the user."""


@dataclass(frozen=True)
class Song:
    """A line of a list."""

    line: int  # counts from 1
    idx: str
    lyrics: str  # strict format
    description: str
    audio: Path | None  # of the style prompt
    style: str  # of the library, "" if none is asked for

    @property
    def name(self) -> str:
        """Of the song's files, without ending."""
        return file_name(self.idx)

    @property
    def request_hash(self) -> str:
        """SHA-256 of what was asked for: another one is another song under the same name."""
        audio = self.audio.name if self.audio else ""
        text = json.dumps([self.idx, self.lyrics, self.description, audio, self.style])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class SongList:
    """What a list holds, in its order."""

    songs: tuple[Song, ...]
    faults: tuple[str, ...]  # a sentence for each faulty line
    oddities: tuple[str, ...]  # sentences on what was passed over


def file_name(idx: str) -> str:
    """A name for files that stays in its folder on every system; "" if nothing is left."""
    name = re.sub(r"[^\w\-. ]", "_", idx)[:NAME_LENGTH].strip(". ")
    return f"_{name}" if RESERVED.match(name) else name


def read(data: bytes, folder: Path, styles: Collection[str] = ()) -> SongList:
    """Read a list and check every line.

    Args:
        data: of the file.
        folder: that prompt audio lies in.
        styles: of the prompt library; without any, styles that are asked for are passed over.

    Raises:
        SongListError: it is no text, or holds no line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SongListError("The list of songs is not UTF-8 text; save it as UTF-8.") from error
    songs: list[Song] = []
    faults: list[str] = []
    oddities: list[str] = []
    names: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            song, odd = _song(number, line, folder, styles)
            first = names.setdefault(song.name.casefold(), number)
            if first != number:
                raise SongListError(f"{IDX} {song.idx!r} is taken by line {first}; give each its own.")
            songs.append(song)
            oddities += [f"Line {number}: {sentence}" for sentence in odd]
        except ValueError as error:
            faults.append(f"Line {number}: {error}")
    if not songs and not faults:
        raise SongListError("The list of songs is empty; write one JSON object a line.")
    return SongList(tuple(songs), tuple(faults), tuple(oddities))


def _song(number: int, line: str, folder: Path, styles: Collection[str]) -> tuple[Song, list[str]]:
    """A line's song, and what is odd about it; raises ValueError with a sentence."""
    fields = _fields(line)
    unknown = [key for key in fields if key not in FIELDS]
    odd = [f"{', '.join(unknown)} means nothing here."] if unknown else []
    idx = fields.get(IDX)
    idx = str(idx) if type(idx) is int else _text(fields, IDX)
    if not file_name(idx):
        raise SongListError(f"{IDX} {idx!r} gives no file name; use letters or digits.")
    try:
        lyrics = parse(_text(fields, LYRICS)).text
    except LyricsError as error:
        raise SongListError(f"{LYRICS}: {error.reason}") from error
    description = describe(**{DESCRIPTION: _text(fields, DESCRIPTION, needed=False)})
    audio = _audio(_text(fields, AUDIO, needed=False), folder)
    style = _text(fields, STYLE, needed=False)
    if style and (audio or not styles):
        odd.append(
            f"{STYLE} is passed over, because {f'{AUDIO} is there' if audio else 'no library is chosen'}."
        )
        style = ""
    style = _known(style, styles) if style else ""
    return Song(number, idx, lyrics, description, audio, style), odd


def _fields(line: str) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        reason = str(error)  # Python refuses some numbers with an error of its own
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg.lower()} at character {error.pos + 1}"
        raise SongListError(f"no JSON ({reason}); write one object a line.") from error
    except RecursionError as error:
        raise SongListError("no song; brackets are nested too deeply.") from error
    if not isinstance(fields, dict):
        raise SongListError(f'no JSON object; write {{"{IDX}": "...", "{LYRICS}": "..."}}.')
    return fields


def _text(fields: dict[str, object], key: str, needed: bool = True) -> str:
    value = fields.get(key)
    if value is None and not needed:
        return ""
    if value is None:
        raise SongListError(f"{key} is missing; a song needs {IDX} and {LYRICS}.")
    if not isinstance(value, str):
        raise SongListError(f"{key} is no text; put it into double quotes.")
    if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
        raise SongListError(f"{key} has half a character in it; save the list as UTF-8.")
    if needed and not value.strip():
        raise SongListError(f"{key} is empty; a song needs {IDX} and {LYRICS}.")
    return value.strip()


def _audio(path: str, folder: Path) -> Path | None:
    if not path:
        return None
    if "\0" in path:
        raise SongListError(f"{AUDIO} {path!r} is no path.")
    folder = folder.resolve()
    found = (folder / path).resolve()
    if folder not in found.parents:
        raise SongListError(f"{AUDIO} {path!r} leads out of {folder}; copy the file there.")
    if not found.is_file():
        raise SongListError(f"{AUDIO} {path!r} is not in {folder}; copy the file there.")
    return found


def _known(asked: str, styles: Collection[str]) -> str:
    for style in styles:
        if style.casefold() == asked.casefold():
            return style
    raise SongListError(f"{STYLE} {asked!r} is not in the library; use one of {', '.join(styles)}.")
