"""Lists of songs to make, as the published code reads them: a file with one JSON object a line.

`idx` names the song and `gt_lyric` holds its lyrics; `descriptions` (style tags), `prompt_audio_path` and
`auto_prompt_audio_type` (a style of the prompt library) may be left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files.names import SHOWN, shown
from ..text.lyrics import LyricsError, parse
from ..text.style import describe
from .names import file_name

IDX, LYRICS, DESCRIPTION = "idx", "gt_lyric", "descriptions"
AUDIO, STYLE = "prompt_audio_path", "auto_prompt_audio_type"
FIELDS = (IDX, LYRICS, DESCRIPTION, AUDIO, STYLE)
LISTED = 20  # faults that are told one by one
PARTED = re.compile(r"\s*;\s*\[")
Hear = Callable[[Path], None]
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
        """SHA-256 of what was asked for: another one is another song under the same name.

        It is that of older versions too, which parted sections by " ; " and ended tags without a full stop.
        """
        audio = self.audio.name if self.audio else ""
        lyrics, tags = PARTED.sub(" ; [", self.lyrics), self.description.removesuffix(".")
        text = json.dumps([self.idx, lyrics, tags, audio, self.style])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Fault:
    """Why a line gives no song."""

    line: int
    reason: str  # a sentence
    idx: str = ""  # as far as it is known
    request_hash: str = ""  # of a song whose line is well and that could not be made
    clip: bool = False  # whether its prompt audio is at fault

    def __str__(self) -> str:
        name = f"{IDX} {shown(self.idx)}: " if self.idx else ""
        return f"Line {self.line}: {name}{self.reason}"


@dataclass(frozen=True)
class SongList:
    """What a list holds, in its order."""

    songs: tuple[Song, ...]
    faults: tuple[Fault, ...]  # faulty lines
    oddities: tuple[str, ...]  # sentences on what was passed over


class _ClipError(SongListError):
    """What is wrong with a song's prompt audio."""


class _LineError(ValueError):
    """What is wrong with a line, and the idx that it has."""

    def __init__(self, error: ValueError, idx: str) -> None:
        super().__init__(str(error))
        self.idx, self.clip = idx, isinstance(error, _ClipError)


def first_sentences(sentences: Sequence[object], what: str = "faulty lines") -> list[str]:
    """The first sentences, and how many more there are."""
    first = [str(sentence) for sentence in sentences[:LISTED]]
    more = len(sentences) - len(first)
    return [*first, f"And {more:,} more {what}."] if more else first


def read(data: bytes, folder: Path, styles: Collection[str] = (), hear: Hear | None = None) -> SongList:
    """Read a list and check every line.

    Args:
        data: of the file.
        folder: that prompt audio lies in.
        styles: of the prompt library; without any, styles that are asked for are passed over.
        hear: raises a ValueError with a sentence for a sound file that is of no use; None lets all pass.

    Raises:
        SongListError: it is no text, holds no line, or is one JSON document.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SongListError("The list of songs is not UTF-8 text; save it as UTF-8.") from error
    songs: list[Song] = []
    faults: list[Fault] = []
    oddities: list[str] = []
    known: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            song, odd = _song(number, line, folder, styles, hear, known)
            songs.append(song)
            oddities += [f"Line {number}: {sentence}" for sentence in odd]
        except ValueError as error:
            faults.append(_fault(number, error))
    if faults and _is_document(text, len(songs)):
        raise SongListError(
            "The list of songs is one JSON document; write each song on a line of its own, without "
            "brackets around all of them and commas between them."
        )
    if not songs and not faults:
        raise SongListError("The list of songs is empty; write one JSON object a line.")
    return SongList(tuple(songs), tuple(faults), tuple(oddities))


def _is_document(text: str, songs: int) -> bool:
    """Whether a text with faulty lines is an array, or objects over several lines, whole or damaged."""
    first, _, rest = text.strip().partition("\n")
    if not first.startswith(("[", "{")):
        return False
    try:
        return isinstance(json.loads(text), list) or bool(rest)
    except (ValueError, RecursionError):
        pass
    try:
        json.loads(first)
        return False
    except (ValueError, RecursionError):
        goes_on = bool(rest) and not rest.lstrip().startswith(first[0])
        return goes_on and songs <= (1 if first[0] == "[" else 0)


def _fault(line: int, error: ValueError) -> Fault:
    if isinstance(error, _LineError):
        return Fault(line, str(error), error.idx, clip=error.clip)
    return Fault(line, str(error))


def _song(
    number: int,
    line: str,
    folder: Path,
    styles: Collection[str],
    hear: Hear | None,
    known: dict[str, int],
) -> tuple[Song, list[str]]:
    """A line's song, and what is odd about it; raises ValueError with a sentence.

    `known` is the line of each idx, and learns this one.
    """
    fields = _fields(line)
    idx = fields.get(IDX)
    idx = str(idx) if type(idx) is int else _text(fields, IDX)
    first = known.setdefault(idx, number)
    if first != number:
        raise SongListError(f"{IDX} {shown(idx)} is taken by line {first}; give each its own.")
    if not file_name(idx):
        raise SongListError(f"{IDX} {shown(idx)} gives no file name; use letters or digits.")
    try:
        song, odd = _request(number, idx, fields, folder, styles)
        if hear and song.audio:
            _check_clip(song.audio, hear)
    except ValueError as error:
        raise _LineError(error, idx) from error
    return song, odd


def _request(
    number: int, idx: str, fields: dict[str, object], folder: Path, styles: Collection[str]
) -> tuple[Song, list[str]]:
    unknown = [key for key in fields if key not in FIELDS]
    names = ", ".join(name if name.isprintable() else repr(name) for name in unknown)
    odd = (
        [f"{names if len(names) <= SHOWN else f'{names[:SHOWN]}…'} means nothing here."] if unknown else []
    )
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


def _check_clip(clip: Path, hear: Hear) -> None:
    try:
        hear(clip)
    except ValueError as error:
        raise _ClipError(f"{AUDIO}: {error}") from error
    except OSError as error:
        raise _ClipError(f"{AUDIO} {shown(clip.name)} cannot be opened ({error.strerror}).") from error


def _key(name: str) -> str:
    return name if name.isprintable() and len(name) <= SHOWN else shown(name)


def _fields(line: str) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        reason = "it holds a number of thousands of digits"
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
        raise _ClipError(f"{AUDIO} {shown(path)} is no path.")
    try:
        folder = folder.resolve()
        clip = (folder / path).resolve()
        is_file = clip.is_file()
    except (OSError, RuntimeError) as error:  # too long, or links that lead in a circle
        raise _ClipError(f"{AUDIO} {shown(path)} cannot be opened; name another file.") from error
    if folder not in clip.parents:
        raise _ClipError(f"{AUDIO} {shown(path)} leads out of {folder}; copy the file there.")
    if not is_file:
        raise _ClipError(f"{AUDIO} {shown(path)} is not in {folder}; copy the file there.")
    return clip


def _known(name: str, styles: Collection[str]) -> str:
    for style in styles:
        if style.casefold() == name.casefold():
            return style
    raise SongListError(f"{STYLE} {shown(name)} is not in the library; use one of {', '.join(styles)}.")
