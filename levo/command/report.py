"""What each song of a folder was asked to be and what it is: by results.jsonl, and measured from its file.

Where sections lie in a song is an estimate, as nothing in it marks them; see levo/text/timeline.py.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor

from ..audio.loudness import NOTHING, integrated_loudness, true_peak_db
from ..audio.sound import sound_of
from ..batch import results
from ..batch.song_list import IDX, SongListError
from ..text.lyrics import Lyrics, LyricsError, parse
from ..text.status import clock
from ..text.timeline import marks
from . import arguments
from .sound_files import decoded

EARLY = 0.5  # of the seconds that the lyrics are thought to last
SILENT = 1e-3  # peak: -60 dBFS
BLOCKS = 10  # a second, in which silence is counted
FULL_SCALE = 1 - 2**-15  # what the largest sample of 16 bits stands for
WIDTH = 28  # characters of a name


@dataclass(frozen=True)
class Row:
    """A song of a folder, or one that could not be made."""

    idx: str
    file: str = ""
    error: str = ""  # why it could not be made or measured
    asked_sections: tuple[str, ...] = ()
    asked_seconds: float | None = None  # that the lyrics are thought to last
    limit: float | None = None  # seconds; None where none was set
    seconds: float = 0.0
    ended: bool = False  # by itself
    sections: int = 0  # that lie in it, by estimate
    loudness: float | None = None  # LUFS
    peak: float | None = None  # dBTP
    clipped: int = 0  # samples
    silence: float = 0.0  # seconds

    @property
    def early(self) -> bool:
        """Whether it ended long before its lyrics can have been sung."""
        return self.ended and self.asked_seconds is not None and self.seconds < EARLY * self.asked_seconds


def main(argv: list[str]) -> int:
    """Run `levo report`; gives the exit status: 0 all songs are whole, 1 some are not there."""
    args = arguments.reporter().parse_args(argv)
    folder = Path(args.out)
    records = results.read(folder).values()
    if not records:
        raise SongListError(
            f"There is no {results.RESULTS} in {folder}; name the folder that songs are in."
        )
    rows = []
    for row in rows_of(folder, list(records)):
        rows.append(row)
        if args.json:
            sys.stdout.write(json.dumps({**asdict(row), "early": row.early}, ensure_ascii=True) + "\n")
    if not args.json:
        sys.stdout.write(table(rows))
    sys.stdout.flush()  # here it is told if nobody reads
    return int(any(row.error for row in rows))


def rows_of(folder: Path, records: list[dict]) -> Iterator[Row]:
    """What became of each song.

    Args:
        folder: of the songs.
        records: of its results.
    """
    for record in records:
        yield _row(folder, record)


def table(rows: list[Row]) -> str:
    """Rows as lines for people, and what they come to."""
    heads = ("song", "length", "end", "sections", "LUFS", "dBTP", "clipped", "silent", "asked for")
    of_takes = {idx for idx, count in Counter(row.idx for row in rows).items() if count > 1}
    lines = [heads, *(_cells(row, row.file if row.idx in of_takes else row.idx) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(heads) - 1)]
    text = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        text.append("  ".join((*cells, line[-1])).rstrip())
    return "\n".join((*text, "", *totals(rows))) + "\n"


def totals(rows: list[Row]) -> list[str]:
    """Sums over songs."""
    measured = [row for row in rows if not row.error]
    seconds = sum(row.seconds for row in measured)
    ended, early = sum(row.ended for row in measured), sum(row.early for row in measured)
    clipped, silent = sum(row.clipped > 0 for row in measured), sum(map(_is_silent, measured))
    loud = [row.loudness for row in measured if row.loudness is not None and row.loudness > NOTHING]
    mean = f", {sum(loud) / len(loud):.1f} LUFS on average" if loud else ""
    return [
        f"{len(measured)} of {len(rows)} songs are there, {clock(seconds)} in all{mean}.",
        f"{ended} ended by themselves, {early} of them early (in less than half of what their lyrics are "
        f"thought to last); {len(measured) - ended} were cut at the limit.",
        f"{clipped} have clipped samples, {silent} are silent for a tenth of their length or more.",
    ]


def _row(folder: Path, record: dict) -> Row:
    idx = str(record[IDX])
    if results.ERROR in record:
        return Row(idx, error=str(record[results.ERROR]))
    settings = record.get(results.SETTINGS)
    request = settings if isinstance(settings, dict) else {}
    lyrics = _lyrics(request.get("lyrics"))
    limit = request.get("max_seconds")
    file = results.file_of(record)
    if not file or not results.is_whole(folder / file):
        return Row(idx, file, error="its file is gone; make the song again")
    try:
        samples, rate = decoded(folder / file)
        sound_of({"waveform": samples, "sample_rate": rate}, "sound in it")
    except ValueError as error:
        return Row(idx, file, error=str(error))
    seconds, ended = samples.shape[-1] / rate, record.get("ended_by_itself") is True
    return Row(
        idx,
        file,
        asked_sections=tuple(section.tag for section in lyrics.sections) if lyrics else (),
        asked_seconds=lyrics.seconds if lyrics else None,
        limit=float(limit) if isinstance(limit, int | float) and limit else None,
        seconds=seconds,
        ended=ended,
        sections=len(marks(lyrics, seconds, ended)) if lyrics else 0,
        loudness=integrated_loudness(samples[0], rate),
        peak=true_peak_db(samples[0]),
        clipped=int((samples.abs() >= FULL_SCALE).sum()),
        silence=_silence(samples[0], rate),
    )


def _lyrics(text: object) -> Lyrics | None:
    """What was to be sung; None where that is not known, or nothing."""
    if not isinstance(text, str):
        return None
    try:
        return parse(text)
    except LyricsError:
        return None


def _silence(sound: Tensor, rate: int) -> float:
    """Seconds of [channels, samples] that are silent."""
    step = rate // BLOCKS
    blocks = sound[:, : sound.shape[1] // step * step].abs().amax(0).view(-1, step).amax(1)
    return int((blocks < SILENT).sum()) / BLOCKS


def _is_silent(row: Row) -> bool:
    return row.silence >= row.seconds / 10


def _cells(row: Row, name: str) -> tuple[str, ...]:
    """A line of the table; takes are told apart by their files."""
    name = _plain(name if len(name) <= WIDTH else f"{name[: WIDTH - 1]}…")
    if row.error:
        return (name, "-", "failed", "-", "-", "-", "-", "-", _plain(row.error))
    end = "early" if row.early else "ended" if row.ended else "cut"
    sections = f"{row.sections} of {len(row.asked_sections)}" if row.asked_sections else "-"
    expected = "" if row.asked_seconds is None else f"about {clock(row.asked_seconds)}"
    most = "" if row.limit is None else f"at most {clock(row.limit)}"
    tags = " ".join(row.asked_sections)
    return (
        name,
        clock(row.seconds),
        end,
        sections,
        _level(row.loudness),
        _level(row.peak),
        str(row.clipped),
        f"{row.silence:.1f} s",
        ", ".join(part for part in (expected, most, tags) if part),
    )


def _plain(text: str) -> str:
    """A text that does nothing to a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _level(decibels: float | None) -> str:
    return "-" if decibels is None or decibels <= NOTHING else f"{decibels:.1f}"
