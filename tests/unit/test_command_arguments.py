"""The command line: what it gives, and what of it is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from levo.command import arguments
from levo.command.arguments import Cluster
from levo.config import PRESETS


@pytest.fixture
def weights(tmp_path: Path) -> list[str]:
    """Options with files that are there, and a vocabulary beside LeLM."""
    for name in ("lelm.pt", "renderer.pt", "vae.ckpt", "vocab.json", "merges.txt"):
        (tmp_path / name).touch()
    return [f"--{n}={tmp_path / f}" for n, f in (("lelm", "lelm.pt"), ("renderer", "renderer.pt"),
                                                 ("vae", "vae.ckpt"))]  # fmt: skip


def test_little_gives_what_is_released():
    asked = arguments.read(["songs.jsonl", "out"])
    assert (asked.place.songs, asked.place.folder) == (Path("songs.jsonl"), Path("out"))
    assert asked.engine.files.are_built_in
    assert (asked.options.kind, asked.options.steps, asked.options.sampling.top_k) == ("mixed", 10, 5_000)
    assert asked.cluster is None


def test_songs_are_composed_one_by_one_unless_more_are_asked_for():
    asked = [arguments.read(["s", "o", *more]).options.batch for more in ([], ["--batch", "8"])]
    assert asked == [1, 8]


def test_the_example_needs_no_file():
    assert arguments.read(["example", "out"]).place.songs is None


def test_a_preset_is_what_is_not_given():
    options = arguments.read(["s", "o", "--preset", "levo-demo", "--temperature", "0.5"]).options
    assert (options.sampling.temperature, options.sampling.top_k, options.steps) == (0.5, 50, 50)
    for name, preset in PRESETS.items():
        options = arguments.read(["s", "o", "--preset", name]).options
        assert (options.sampling.temperature, options.sampling.top_k, options.steps) == (
            preset.temperature,
            preset.top_k,
            preset.steps,
        )


def test_weights_may_be_paths_or_addresses(tmp_path: Path, weights: list[str]):
    addressed = [*weights[:2], f"--vae={(tmp_path / 'vae.ckpt').as_uri()}"]
    for given in (weights, addressed):
        files = arguments.read(["s", "o", *given]).engine.files
        assert (files.vae, files.track_encoder) == (tmp_path / "vae.ckpt", tmp_path / "renderer.pt")
        assert files.vocabulary == tmp_path


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--lelm=tiny"], "--renderer and --vae are missing; give all three"),
        (["--lelm=tiny", "--renderer=tiny", "--vae=gone.ckpt"], "--vae: there is no file gone.ckpt"),
        (["--library=gone.pt"], "--library: there is no file gone.pt"),
        ([f"--library={300 * 'x'}"], f"--library: there is no file {300 * 'x'}"),
        (["--library=http://["], r"--library: there is no file http://\["),
        (["--library=file://["], r"--library: there is no file file://\["),
        ([f"--vocabulary={300 * 'x'}"], "There is no vocabulary .* in xxx"),
        (["--vocabulary=gone"], "There is no vocabulary .* in gone; download both files"),
        (["--workers=2"], "belong to --ray"),
        (["--steps=0"], "The number of steps is 0"),
        (["--temperature=-1"], "The temperature is -1"),
        (["--max-seconds=-1"], "The length .* is -1"),
        (["--max-seconds=nan"], "The length .* is nan"),
        (["--prompt-start=-1"], "The start of the prompt audio is -1"),
        (["--seed=99999999999999999999"], "The seed is 99999"),
    ],
)
def test_what_cannot_be_is_told(given: list[str], told: str):
    with pytest.raises(ValueError, match=told):
        arguments.read(["songs.jsonl", "out", *given])


def test_an_mlx_folder_has_its_vocabulary_in_a_folder_of_its_own(tmp_path: Path, weights: list[str]):
    inner = tmp_path / "qwen2_tokenizer"
    inner.mkdir()
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).rename(inner / name)
    assert arguments.read(["s", "o", *weights]).engine.files.vocabulary == inner


@pytest.mark.parametrize("way", [str, Path.as_uri])
@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model-00001-of-00002", "model-00002-of-00002", "model.index"], "model.safetensors.index.json"),
        (["model"], "model.safetensors"),
    ],
)
def test_lelm_may_be_an_mlx_folder(
    tmp_path: Path, weights: list[str], names: list[str], chosen: str, way: Callable[[Path], str]
):
    inner = tmp_path / "mlx" / "qwen2_tokenizer"
    inner.mkdir(parents=True)
    for name in ("vocab.json", "merges.txt"):
        (inner / name).touch()
    write_weights(tmp_path / "mlx", names)
    files = arguments.read(["s", "o", *weights[1:], f"--lelm={way(tmp_path / 'mlx')}"]).engine.files
    assert (files.lelm, files.vocabulary) == (tmp_path / "mlx" / chosen, inner)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "holds neither model.safetensors.index.json nor model.safetensors"),
        (["model-00001-of-00002", "model-00002-of-00002"], "holds 2 safetensors files and no index"),
        (["a.index", "b.index", "a"], "holds 2 indexes of shards"),
    ],
)
def test_a_folder_without_one_lelm_is_told(tmp_path: Path, weights: list[str], names: list[str], told: str):
    write_weights(tmp_path / "mlx", names)
    with pytest.raises(ValueError) as error:
        arguments.read(["s", "o", *weights[1:], f"--lelm={tmp_path / 'mlx'}"])
    assert str(error.value) == f"--lelm: the folder {tmp_path / 'mlx'} {told}; name the file itself."


def test_nothing_and_folders_for_other_models_are_no_files(tmp_path: Path, weights: list[str]):
    with pytest.raises(ValueError, match="^--lelm: there is no file ; name"):
        arguments.read(["s", "o", *weights[1:], "--lelm="])
    with pytest.raises(ValueError, match="^--vae: there is no file .*; name the file itself"):
        arguments.read(["s", "o", *weights[:2], f"--vae={tmp_path}"])


def write_weights(folder: Path, names: list[str]) -> None:
    """Empty safetensors files, and indexes where the name says so."""
    folder.mkdir(exist_ok=True)
    for name in names:
        index = name.endswith(".index")
        (folder / f"{name.removesuffix('.index')}.safetensors{'.index.json' if index else ''}").touch()


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["list"],
        ["list", "out", "--kind=none"],
        ["list", "out", "--takes=0"],
        ["list", "out", "--prompt-start=soon"],
        ["list", "out", "--threads=99999999999"],
        *(["list", "out", "--ray", f"--gpus-per-worker={share}"] for share in ("1.5", "-1", "inf", "nan")),
    ],
)
def test_a_wrong_line_ends_with_status_2(given: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        arguments.read(given)
    assert ended.value.code == 2
    assert "levo: error: " in capsys.readouterr().err


def test_a_cluster_is_asked_for():
    assert arguments.read(["s", "o"]).cluster is None
    assert arguments.read(["s", "o", "--ray"]).cluster == Cluster(None, None, None)
    given = ["--ray-address=10.0.0.1:6379", "--workers=3", "--gpus-per-worker=0.5"]
    assert arguments.read(["s", "o", *given]).cluster == Cluster("10.0.0.1:6379", 3, 0.5)
