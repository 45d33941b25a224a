"""Styles without sound: the published libraries, what is drawn from them, and style files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support import libraries

from levo import tiny
from levo.files import parts, style_library
from levo.files.atomic import WriteError
from levo.files.style_library import AUTO, CHINESE, ENGLISH, StyleFileError
from levo.kinds import Kind

SEEDS = range(60)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return libraries.write(tmp_path_factory.mktemp("spoken") / "any name.pt", libraries.spoken())


@pytest.fixture(scope="module")
def unspoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return libraries.write(tmp_path_factory.mktemp("unspoken") / "any name.pt", libraries.unspoken())


def refused(call, *arguments: object) -> str:
    with pytest.raises(StyleFileError, match=r"^[^\n]+\.$") as error:
        call(*arguments)
    return str(error.value)


# Languages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lyrics", "language"),
    [
        ("[verse] paper boats", ENGLISH),
        ("[verse] 纸船在银色的河流上漂流", CHINESE),
        ("一abcd", CHINESE),  # a fifth
        ("一abcde", ENGLISH),
        ("ひらがなだけ", ENGLISH),
        ("", ENGLISH),
    ],
)
def test_lyrics_are_chinese_from_a_fifth_of_their_characters_on(lyrics: str, language: str):
    assert style_library.language_of(lyrics) == language


# Published libraries -------------------------------------------------------------------------------------


def test_a_library_is_recognised_by_what_is_in_it(spoken: Path, unspoken: Path):
    for path in (spoken, unspoken):
        assert parts.recognise(path) == parts.Part(Kind.PROMPT_LIBRARY, "any name", path.stat().st_size)


@pytest.mark.parametrize(
    "content", [{}, [], {"Pop": []}, {"Pop": [torch.zeros(3, 250)]}, {1: [torch.zeros(1)]}]
)
def test_a_pickle_of_something_else_is_no_library(tmp_path: Path, content: object):
    path = libraries.write(tmp_path / "new_prompt.pt", content)
    assert not style_library.is_library(path)
    assert "is not a prompt library" in refused(style_library.read_library, path)


def test_styles_are_those_of_the_file_with_auto_first(spoken: Path, unspoken: Path):
    assert list(style_library.read_library(spoken)) == ["Auto", "Pop", "R&B/Soul"]
    assert list(style_library.read_library(unspoken, "meta")) == ["Auto", "Pop", "Chinese Style", "Metal"]


@pytest.mark.parametrize("language", [CHINESE, ENGLISH])
def test_entries_are_of_the_style_and_language_asked_for_and_all_are_drawn(spoken: Path, language: str):
    read, expected = style_library.read_library(spoken), libraries.spoken()["Pop"][language]
    picks = [style_library.pick(read, "Pop", language, seed) for seed in SEEDS]
    numbers = {int(pick.name.split()[1]) for pick in picks}
    assert numbers == set(range(1, len(expected) + 1))
    for pick in picks:
        assert torch.equal(pick.codes, expected[int(pick.name.split()[1]) - 1])
        assert pick.codes.dtype == torch.int64
        assert pick.name.endswith(f"of {len(expected)}, {language}")


def test_without_a_language_entries_of_all_are_drawn(spoken: Path):
    read = style_library.read_library(spoken)
    names = {style_library.pick(read, "Pop", style_library.ANY, seed).name for seed in SEEDS}
    assert len(names) == 8
    assert {name[-2:] for name in names} == {"zh", "en"}


@pytest.mark.parametrize("language", [CHINESE, ENGLISH, style_library.ANY])
def test_a_library_without_languages_serves_all(unspoken: Path, language: str):
    pick = style_library.pick(style_library.read_library(unspoken), "Metal", language, 3)
    assert any(torch.equal(pick.codes, codes) for codes in libraries.unspoken()["Metal"])


def test_the_same_seed_draws_the_same_entry_on_every_run_of_every_version(spoken: Path):
    names = [
        style_library.pick(style_library.read_library(spoken), "Pop", ENGLISH, seed).name
        for seed in (0, 1, 2, 2**64 - 1)
    ]
    assert names == [f"Pop {n} of 5, en" for n in (4, 2, 1, 1)]


def test_auto_draws_from_the_list_of_that_name(spoken: Path):
    read, own = style_library.read_library(spoken), libraries.spoken()["Auto"]["en"]
    picks = [style_library.pick(read, AUTO, ENGLISH, seed).codes for seed in SEEDS]
    assert all(any(torch.equal(pick, codes) for codes in own) for pick in picks)


def test_auto_draws_from_all_styles_where_there_is_no_such_list(tmp_path: Path):
    content = libraries.spoken()
    del content["Auto"]
    read = style_library.read_library(libraries.write(tmp_path / "a.pt", content))
    assert list(read) == ["Auto", "Pop", "R&B/Soul"]
    names = {style_library.pick(read, AUTO, ENGLISH, seed).name for seed in SEEDS}
    assert names == {f"Auto {n} of 7, en" for n in range(1, 8)}


def test_a_longer_entry_is_cut_to_10_s_and_a_shorter_one_refused(tmp_path: Path):
    long, short = (
        style_library.read_library(libraries.write(tmp_path / f"{n}.pt", libraries.spoken(n)))
        for n in (251, 249)
    )
    codes = style_library.pick(long, "Pop", ENGLISH, 0).codes
    assert codes.shape == (1, 3, 250)
    assert any(torch.equal(codes, entry[..., :250]) for entry in long["Pop"]["en"])
    assert refused(style_library.pick, short, "Pop", ENGLISH, 0) == (
        "Entry Pop 4 of 5, en has 249 frames, and a style needs 250; choose another seed or style."
    )


def test_a_style_or_language_that_is_not_there_is_refused(spoken: Path):
    read = style_library.read_library(spoken) | {
        "Empty": {"zh": [], "en": []},
        "Chinese": {"zh": [libraries.entry(1)]},
    }
    assert "choose one of Auto, Pop" in refused(style_library.pick, read, "Polka", ENGLISH, 0)
    assert "nothing in en; it has entries in zh" in refused(style_library.pick, read, "Chinese", ENGLISH, 0)
    assert "nothing in any language" in refused(style_library.pick, read, "Empty", style_library.ANY, 0)


@pytest.mark.parametrize(
    "codes", [torch.full((1, 3, 250), 16_384), torch.full((1, 3, 250), -1), torch.zeros(1, 3, 250)]
)
def test_numbers_that_are_no_codes_are_refused(tmp_path: Path, codes: torch.Tensor):
    read = style_library.read_library(libraries.write(tmp_path / "a.pt", {"Pop": [codes]}))
    assert "no codes" in refused(style_library.pick, read, "Pop", ENGLISH, 0)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:616d\nsize 14959842\n",
            "Git LFS pointer",
        ),
        (b"", "is empty"),
        (b"PK\x03\x04 and no more", "cut off"),
    ],
)
def test_a_damaged_library_is_told_by_its_name_and_refused_in_a_sentence(
    tmp_path: Path, damage: bytes, named: str
):
    path = tmp_path / "new_auto_prompt.pt"
    path.write_bytes(damage)
    assert parts.recognise(path).kind == Kind.PROMPT_LIBRARY
    assert named in refused(style_library.read_library, path)


class Malicious:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


def test_code_in_a_library_never_runs(tmp_path: Path):
    path = libraries.write(
        tmp_path / "new_prompt.pt", libraries.unspoken() | {"x": Malicious(tmp_path / "ran")}
    )
    assert not style_library.is_library(path)
    assert "cannot be read" in refused(style_library.read_library, path)
    assert not (tmp_path / "ran").exists()


# Style files ---------------------------------------------------------------------------------------------


def test_a_saved_style_comes_back_and_is_small(tmp_path: Path):
    path, codes = tmp_path / "styles" / "mine.safetensors", tiny.style()
    codes[0, 1, 100:] = 16_385  # a short clip
    style_library.save_style(path, codes, "clip.wav, 0:10")
    assert torch.equal(style_library.load_style(path).codes, codes)
    assert style_library.load_style(path).name == "clip.wav, 0:10"
    assert path.stat().st_size < 2_000
    assert parts.recognise(path) == parts.Part(Kind.STYLE, "mine", path.stat().st_size)
    assert [file.name for file in path.parent.iterdir()] == ["mine.safetensors"]


@pytest.mark.parametrize(
    ("codes", "metadata", "named"),
    [
        (torch.zeros(3, 250, dtype=torch.int16), {}, "holds no style"),
        (torch.zeros(3, 250, dtype=torch.int16), {"levo.part": "VAE"}, "holds no style"),
        (
            torch.zeros(3, 250, dtype=torch.int16),
            {"levo.part": "style", "levo.format": "2"},
            "has format 2",
        ),
        (torch.zeros(3, 249, dtype=torch.int16), {"levo.part": "style", "levo.format": "1"}, "is damaged"),
        (torch.zeros(3, 250), {"levo.part": "style", "levo.format": "1"}, "is damaged"),
        (
            torch.full((3, 250), -1, dtype=torch.int16),
            {"levo.part": "style", "levo.format": "1"},
            "no codes",
        ),
    ],
)
def test_a_damaged_or_foreign_style_file_is_refused(tmp_path: Path, codes, metadata: dict, named: str):
    path = tmp_path / "style.safetensors"
    save_file({"codes": codes}, path, metadata)
    assert named in refused(style_library.load_style, path)


def test_a_style_file_that_is_cut_off_is_refused(tmp_path: Path):
    path = tmp_path / "style.safetensors"
    style_library.save_style(path, tiny.style(), "a")
    path.write_bytes(path.read_bytes()[:-10])
    assert "cut off" in refused(style_library.load_style, path)


def test_a_style_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, data: bytes) -> None:
        path.write_text(f"half of {len(data)}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WriteError, match="No space"):
        style_library.save_style(tmp_path / "a.safetensors", tiny.style(), "a")
    assert list(tmp_path.iterdir()) == []


def test_the_tiny_style_is_always_the_same():
    assert torch.equal(tiny.style(), tiny.style())
    assert tiny.style().shape == (1, 3, 250)
