"""What a song's file says of the song, out of its tokens."""

from __future__ import annotations

import pytest
from torch import zeros

from levo.audio.file_tags import FileTags
from levo.lelm.compose import Composition
from levo.song import file_tags
from levo.song.tokens import Composer, Sampling, SongRequest, SongTokens


def tokens(lyrics: str, style: str) -> SongTokens:
    codes = zeros(1, 3, 5).long()
    made = [Composition(codes, codes, ended, 5) for ended in (True, False)]
    request = SongRequest(lyrics, style, lyrics == ".")
    return SongTokens.of(made, [7, 8], request, Sampling(), Composer("medium.pt", "v2", ""))


@pytest.mark.parametrize(
    ("lyrics", "printed"),
    [
        (".", ""),
        ("[intro-short] ; [outro-short]", ""),
        (
            "[intro-short] ; [verse] Hello there. La la ; [chorus] 夜. Bye",
            "[verse]\nHello there\nLa la\n\n[chorus]\n夜\nBye",
        ),
    ],
)
def test_lyrics_stand_as_players_show_them(lyrics: str, printed: str):
    assert file_tags.tagged(FileTags(), tokens(lyrics, ""), 0).lyrics == printed


@pytest.mark.parametrize(
    ("style", "genre", "comment"),
    [("female, pop.", "female, pop", "female, pop; seed 8; medium.pt"), ("", "", "seed 8; medium.pt")],
)
def test_tags_are_genre_and_comment_beside_what_was_known(style: str, genre: str, comment: str):
    made = file_tags.tagged(FileTags("Title", "Artist", more={"a": "b"}), tokens(".", style), 1)
    assert made == FileTags("Title", "Artist", genre, comment, more={"a": "b"})
