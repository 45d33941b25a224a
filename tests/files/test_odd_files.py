"""No file takes the lists away: whatever lies in a folder, they come in time and without much memory."""

from __future__ import annotations

import os
import subprocess
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from support import odd_files, releases
from support.odd_files import ODD
from support.release_texts import config_text
from support.sentences import assert_one_sentence
from support.small_models import SMALL_VAE, filled

from levo import tiny
from levo.files import converted, listing, parts, style_library
from levo.files.checkpoint import open_checkpoint
from levo.files.converted import Provenance
from levo.files.listing import Listing
from levo.files.parts import Part
from levo.files.tensor_file import CheckpointError
from levo.kinds import MODELS, Kind
from levo.song import token_file
from levo.vae.oobleck import Vae

SECONDS = 3.0  # of computing for one file; a pipe that is waited for takes none, and never ends


@cache
def vae() -> bytes:
    """A file of ours."""
    model = filled(Vae(SMALL_VAE))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vae.safetensors"
        converted.save(path, model, Kind.VAE, SMALL_VAE, Provenance("", ""), None, lambda done, total: None)
        return path.read_bytes()


def save_vae(path: Path) -> Path:
    path.write_bytes(vae())
    return path


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_answered_in_time_and_hides_no_other(tmp_path: Path, name: str):
    whole = save_vae(tmp_path / "my vae.safetensors")
    ODD[name](tmp_path / name)
    started = time.process_time()
    found = {file.path.name: file.part for file in Listing().files([tmp_path])}
    assert time.process_time() - started < SECONDS
    assert found["my vae.safetensors"] == Part(Kind.VAE, "my vae", whole.stat().st_size)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_that_is_chosen_is_refused_in_one_sentence(tmp_path: Path, name: str):
    path = tmp_path / name
    ODD[name](path)
    for kind in MODELS:
        try:
            open_checkpoint(path).config(kind)
        except CheckpointError as error:
            assert_one_sentence(str(error))
            assert name in str(error)
    try:
        style_library.read_library(path)
        style_library.load_style(path)
    except style_library.StyleFileError as error:
        assert_one_sentence(str(error))


@pytest.mark.parametrize("name", [name for name in ODD if name.endswith(".safetensors")])
def test_an_odd_file_is_no_song(tmp_path: Path, name: str):
    ODD[name](tmp_path / name)
    started = time.process_time()
    assert not token_file.is_song(tmp_path / name)
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("name", odd_files.CONFIGS)
def test_a_release_with_an_odd_config_is_listed_in_time_and_refused_in_one_sentence(
    tmp_path: Path, name: str
):
    path = releases.write_release(tmp_path / "songgeneration_base", "base")
    (path.parent / "config.yaml").write_text(config_text("base") + odd_files.CONFIGS[name])
    started = time.process_time()
    (found,) = Listing().files([tmp_path])
    assert time.process_time() - started < SECONDS
    assert found.part == Part(Kind.LELM, "base", path.stat().st_size)
    try:
        open_checkpoint(path).config(Kind.LELM)
    except CheckpointError as error:
        assert_one_sentence(str(error))
        assert str(path.parent / "config.yaml") in str(error)


@pytest.mark.parametrize("file", ["config.yaml", "stable_audio_1920_vae.json"])
@pytest.mark.parametrize(
    "odd", ["a pipe", "a folder", "a link to itself", "a link to a device", "a socket"]
)
def test_a_config_that_is_no_file_is_never_waited_for(tmp_path: Path, file: str, odd: str):
    lelm = releases.write_release(tmp_path, "base")
    vae = releases.write_vae(tmp_path)
    (tmp_path / file).unlink()
    odd_files.SAFETENSORS[odd](tmp_path / file)
    assert {found.part.kind for found in Listing().files([tmp_path])} == {Kind.LELM, Kind.VAE}
    path, kind = (lelm, Kind.LELM) if file == "config.yaml" else (vae, Kind.VAE)
    with pytest.raises(CheckpointError, match=rf"{file} cannot be read \([^)]*\); [^.]*\.$"):
        open_checkpoint(path).config(kind)


def test_names_that_are_no_text_are_shown_as_escapes_and_stop_nothing(tmp_path: Path):
    for name in (odd_files.BAD_NAME, "two\nlines.safetensors", "bell\a.safetensors"):
        save_vae(tmp_path / name)
    found = {file.path.name: file.part for file in Listing().files([tmp_path])}
    assert found[odd_files.BAD_NAME].name == rf"damaged {tmp_path.name}/caf\udce9.safetensors"
    assert found["bell\a.safetensors"].kind == Kind.VAE
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(tmp_path / odd_files.BAD_NAME)
    assert str(error.value) == (
        rf"{tmp_path.name}/caf\udce9.safetensors lies under a name that is no text in UTF-8; rename it."
    )
    (tmp_path / "two\nlines.safetensors").write_bytes(b"")
    assert_one_sentence(parts.damage_of(tmp_path / "two\nlines.safetensors"))


def test_whatever_recognising_raises_is_a_damaged_file_that_is_logged_once(tmp_path, monkeypatch, caplog):
    path, files = save_vae(tmp_path / "autoencoder_music_1320k.ckpt"), Listing()

    def broken(_path: Path) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(parts, "open_checkpoint", broken)
    for _ in range(3):
        (found,) = files.files([tmp_path])
        assert found.part == Part(Kind.VAE, f"damaged {tmp_path.name}/{path.name}", path.stat().st_size)
    (record,) = caplog.records
    assert path.name in record.getMessage() and "\n" not in record.getMessage()
    path.write_bytes(b"")
    assert len(files.files([tmp_path])) == 1 and len(caplog.records) == 2


# Folders -------------------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return [file.name for file in Listing().files([folder])]


def test_folders_that_lead_back_are_gone_through_once(tmp_path: Path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    save_vae(inner / "x.safetensors")
    for number in range(3):
        (inner / f"back {number}").symlink_to(tmp_path)
        (tmp_path / f"self {number}").symlink_to(tmp_path)
        (inner / f"up {number}").symlink_to(inner.parent)
    started = time.process_time()
    assert names(tmp_path) == ["a/b/x.safetensors"]
    assert time.process_time() - started < SECONDS


def test_folders_that_all_link_to_each_other_are_listed_in_time(tmp_path: Path):
    for one in range(12):
        folder = tmp_path / f"{one}"
        folder.mkdir()
        (folder / "x.safetensors").write_bytes(b"")
        for other in range(12):
            (folder / f"to {other}").symlink_to(tmp_path / f"{other}")
    started = time.process_time()
    found = names(tmp_path)
    assert {f"{n}/x.safetensors" for n in range(12)} <= set(found)
    assert len(found) < 12 * (listing.LINKED + 1) + 1
    assert time.process_time() - started < SECONDS


def test_a_folder_that_is_linked_in_is_gone_through(tmp_path: Path):
    elsewhere, models = tmp_path / "elsewhere", tmp_path / "models"
    elsewhere.mkdir()
    models.mkdir()
    save_vae(elsewhere / "x.safetensors")
    for name in ("one", "two"):
        (models / name).symlink_to(elsewhere)
    assert names(models) == ["one/x.safetensors", "two/x.safetensors"]


def test_deep_missing_and_hidden_folders_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_vae(tmp_path / "x.safetensors")
    here = os.getcwd()
    os.chdir(tmp_path)
    for _ in range(1_500):  # the last of them have paths too long to be named
        os.mkdir("deep")
        os.chdir("deep")
    os.chdir(here)
    (tmp_path / "config.safetensors").mkdir()
    found = names(tmp_path)
    subprocess.run(["rm", "-r", str(tmp_path / "deep")], check=True)  # deeper than Python removes
    assert found == ["x.safetensors"]
    assert names(tmp_path / "gone") == []
    monkeypatch.setattr(listing.os, "scandir", lambda place: (_ for _ in ()).throw(PermissionError(13)))
    assert names(tmp_path) == []


def test_a_name_of_the_first_folder_hides_that_of_the_second(tmp_path: Path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        save_vae(tmp_path / folder / "x.safetensors")
    (found,) = Listing().files([tmp_path / "first", tmp_path / "second"])
    assert found.path == tmp_path / "first" / "x.safetensors"


def test_a_file_is_read_anew_when_it_its_config_or_its_rights_change(tmp_path: Path, monkeypatch):
    path, asked = releases.write_release(tmp_path / "base", "base"), []
    monkeypatch.setattr(listing, "recognise", lambda path: asked.append(path))
    files = Listing()
    for change, count in (
        (lambda: None, 1),
        (lambda: None, 1),
        (lambda: os.utime(path, (1, 1)), 2),
        (lambda: (path.parent / "config.yaml").unlink(), 3),
        (lambda: path.chmod(0o400), 4),
        (lambda: None, 4),
    ):
        change()
        files.files([tmp_path])
        assert len(asked) == count


def test_hundreds_of_files_are_answered_from_memory(tmp_path: Path):
    for number in range(500):
        (tmp_path / f"{number}.safetensors").write_bytes(odd_files.entry())
    files = Listing()
    files.files([tmp_path])
    started = time.process_time()
    for _ in range(10):  # as often as the lists of all nodes ask
        assert len(files.files([tmp_path])) == 500
    assert time.process_time() - started < SECONDS / 5


# Damaged files under names of one's own ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my-vae.safetensors", "v2.safetensors"])
def test_a_cut_file_of_ours_is_what_its_header_says(tmp_path: Path, name: str):
    path = save_vae(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = parts.recognise(path)
    assert part == Part(Kind.VAE, f"damaged {tmp_path.name}/{name}", path.stat().st_size)
    assert part.whole_name == path.stem
    assert f"{tmp_path.name}/{name} was cut off in the download: " in parts.damage_of(path)


@pytest.mark.parametrize("release", ["base", "v2-medium"])
@pytest.mark.parametrize("name", ["mine.pt", "v2-medium.pt", "mine.ckpt", "mine.safetensors"])
def test_a_cut_release_is_told_under_any_name(tmp_path: Path, release: str, name: str):
    path = releases.write(tmp_path / name, releases.lelm(release))
    os.truncate(path, path.stat().st_size // 2)
    part = parts.recognise(path)
    assert (part.kind, part.name, part.whole_name) == (
        Kind.LELM,
        f"damaged {tmp_path.name}/{name}",
        tmp_path.name.replace("_", "-"),
    )


def test_a_cut_style_is_a_style(tmp_path: Path):
    path = tmp_path / "styles" / "mine.safetensors"
    style_library.save_style(path, tiny.style(), "a")
    path.write_bytes(path.read_bytes()[:800])
    part = parts.recognise(path)
    assert (part.kind, part.whole_name) == (Kind.STYLE, "mine")


def test_a_model_with_a_program_in_its_pickle_is_told_by_its_other_names(tmp_path: Path):
    path = tmp_path / "mine.pt"
    torch.save({"decoder.layers.0.weight_v": torch.zeros(1), "trap": Path("/")}, path)
    assert parts.recognise(path).kind == Kind.VAE


def test_a_file_without_rights_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, opened = save_vae(tmp_path / "autoencoder_music_1320k.ckpt"), Path.open

    def closed(self: Path, *arguments: object, **named: object) -> object:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", closed)
    assert parts.recognise(path).kind == Kind.VAE
    name = f"{tmp_path.name}/{path.name}"
    sentence = f"{name} cannot be opened (Permission denied); give ComfyUI the right to read it."
    assert parts.damage_of(path) == sentence
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(path)
    assert str(error.value) == sentence


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="This system has no pipes.")
@pytest.mark.parametrize("name", ["y.pt", "v2-medium/model.pt", "y.ckpt"])
def test_a_pipe_under_any_name_is_not_waited_for(tmp_path: Path, name: str):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    assert [file.path for file in Listing().files([tmp_path])] == [tmp_path / name]
