"""What is said of a list, what results say of a song, and which clips are of use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.listed_songs import song
from support.written_songs import finished_song

from levo.batch.clips import require_clip
from levo.batch.messages import refusal, summary
from levo.batch.record import record_of, style_of
from levo.batch.saving import Planned
from levo.batch.song_list import Fault, SongList

SONGS = tuple(song(str(n), line=n) for n in range(1, 6))


def test_a_refusal_names_the_lines_and_what_to_do():
    found = SongList(SONGS, (Fault(7, "No."), Fault(8, "No, too.", "eight")), ())
    assert refusal("a.jsonl", found, "leave it").splitlines() == [
        "a.jsonl has 2 faulty lines; mend it, or leave it.",
        "Line 7: No.",
        "Line 8: idx 'eight': No, too.",
    ]
    nothing = SongList((), (Fault(1, "No."),), ())
    assert refusal("a.jsonl", nothing, "leave it").splitlines()[0] == (
        "a.jsonl has a faulty line; no song is left; mend it."
    )


def test_a_summary_says_what_comes_and_what_does_not():
    found = SongList(SONGS, (Fault(7, "No."),), ("Line 1: x means nothing here.",))
    assert summary(found, 4, [Fault(2, "It failed.", "2")], SONGS[:4]).splitlines() == [
        "4 of 5 songs to make.",
        "This run: line 1 ('1'), line 2 ('2'), line 3 ('3') and 1 more.",
        "Skipped: Line 2: idx '2': It failed.",
        "Skipped: Line 7: No.",
        "Line 1: x means nothing here.",
    ]
    assert summary(SongList(SONGS, (), ()), 0, [], []) == "All songs are finished."


def test_a_result_holds_what_the_take_was_made_of():
    planned = Planned(song("one"), Path(), "one", ())
    tokens = finished_song(planned, takes=2).tokens
    record = record_of(planned.song, tokens, 1, 2.5, "then", {"kind": "mixed"})
    assert (record["idx"], record["seed"], record["seconds"]) == ("one", 1, 2.5)
    assert (record["started"], record["settings"]) == ("then", {"kind": "mixed"})
    assert record["asked_sha256"] == planned.song.request_hash


def test_a_line_always_gets_the_same_style():
    library = {"Pop": {"": [torch.full((1, 3, 250), n) for n in range(50)]}}
    asking = [type(one)(one.line, one.idx, one.lyrics, "", None, "Pop") for one in SONGS]
    codes = [style_of(one, library).codes[0, 0, 0].item() for one in asking]
    assert codes == [style_of(one, library).codes[0, 0, 0].item() for one in asking]
    assert len(set(codes)) > 1
    assert style_of(SONGS[0], library) is None


def test_a_clip_is_sound_and_long_enough():
    sound = torch.rand(1, 2, 96_000, generator=torch.Generator().manual_seed(0)) - 0.5
    require_clip(Path("a.wav"), sound, 48_000, [0.0, None])
    with pytest.raises(ValueError, match=r"a\.wav.* lasts 2\.0 s, which leaves less than"):
        require_clip(Path("a.wav"), sound, 48_000, [1.5])
    with pytest.raises(ValueError, match=r"a\.wav' has samples that are no numbers"):
        require_clip(Path("a.wav"), sound * torch.nan, 48_000, [])
    with pytest.raises(ValueError, match=r"a\.wav' has a sample rate that is 5;"):
        require_clip(Path("a.wav"), sound, 5, [None])
