"""Released files at full size, as people have them: told apart, given their config, and loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support import checkpoints, releases
from support.release_texts import config_text
from support.released import released_tensors
from torch import Tensor, nn

from levo import tiny
from levo.config import RELEASED_CONFIGS, RendererConfig, VaeConfig
from levo.files import converted, parts, released
from levo.files.converted import Provenance
from levo.files.parts import Part
from levo.files.released import Layout
from levo.files.tensor_file import CheckpointError, inventory
from levo.kinds import Kind, second_kind
from levo.lelm.model import LeLM
from levo.renderer.model import Renderer
from levo.vae.oobleck import Vae

FILES = [(layout, path) for layout, files in releases.LAYOUTS.items() for path in files]
LOADED = [(layout, path) for layout, path in FILES if "model_1rvq" not in path and "demucs" not in path]
FILE_ENTRY = 400  # bytes that a file has for each tensor beside its numbers, at most
SMALL = replace(RELEASED_CONFIGS["v2-medium"], width=32, inner=48, heads=2, layers=2)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All layouts, each in the folder of its name."""
    root = tmp_path_factory.mktemp("layouts")
    for layout in releases.LAYOUTS:
        releases.lay_out(root / layout, layout)
    return root


def part_of(layout: str, path: str) -> str:
    return releases.LAYOUTS[layout][path]


def for_loading(path: Path) -> tuple[nn.Module, Path, Layout]:
    """What `load_weights` takes: a model of the file's size on the meta device, the file and its layout."""
    kind = parts.recognise(path).kind
    if kind == Kind.LELM:
        config = checkpoints.lelm_config(path)
        return LeLM(config, device="meta"), path, released.lelm_layout(config)
    if kind == Kind.RENDERER:
        config = checkpoints.renderer_config(path)
        return Renderer(config, device="meta"), path, released.renderer_layout(config)
    config = checkpoints.vae_config(path)
    return Vae(config, device="meta"), path, released.vae_layout(config)


def refusal(call: Callable[..., object], *arguments: object) -> str:
    """The sentence with which a call refuses its arguments."""
    with pytest.raises(CheckpointError) as error:
        call(*arguments)
    return str(error.value)


# The files that tests stand on ---------------------------------------------------------------------------


PUBLISHED = {  # tensors and bytes
    "v2-medium": (lambda: releases.lelm("v2-medium"), 386, 7_343_951_582),
    "v2-large": (lambda: releases.lelm("v2-large"), 458, 12_899_965_446),
    "septoken slim": (lambda: releases.septoken(full=False), 716, int(3593.56 * 2**20)),
    "1rvq slim": (lambda: releases.style_encoder(full=False), 481, int(628.92 * 2**20)),
    "VAE": (releases.vae, 365, 674_920_616),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_made_here_have_as_many_tensors_and_bytes_as_the_published_ones(name: str):
    make, count, published = PUBLISHED[name]
    tensors = make().values()
    assert len(tensors) == count
    assert 0 <= published - sum(tensor.nbytes for tensor in tensors) < count * FILE_ENTRY


def test_full_tokenizer_files_hold_the_slim_ones_and_more():
    for generation, extra in ((releases.septoken, 277), (releases.style_encoder, None)):
        slim, full = (generation(full=size) for size in (False, True))
        assert slim.keys() < full.keys()
        assert extra in (None, len(full) - len(slim))
    flow = [t.numel() for name, t in full.items() if name.startswith("cfm_wrapper.estimator.")]
    assert sum(flow) == 748_467_600


def test_files_made_here_take_next_to_no_disk(layouts: Path):
    found = [path.stat() for path in layouts.rglob("*") if path.is_file()]
    assert sum(file.st_size for file in found) > 15e9
    assert sum(file.st_blocks * 512 for file in found) < 5e6


# Told apart ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "path"), FILES)
def test_a_file_of_any_layout_is_recognised(layouts: Path, layout: str, path: str):
    file, name = layouts / layout / path, part_of(layout, path)
    kind = releases.PARTS[name][0]
    assert parts.recognise(file) == Part(kind, name, file.stat().st_size, second_kind(kind))


@pytest.mark.parametrize("layout", releases.LAYOUTS)
@pytest.mark.parametrize("path", releases.OTHERS)
def test_what_else_lies_there_is_no_part(layouts: Path, layout: str, path: str):
    assert parts.recognise(layouts / layout / path) is None


def test_a_folder_linked_in_and_the_links_of_the_hub_cache_are_as_good_as_copies(layouts, tmp_path):
    (tmp_path / "linked").symlink_to(layouts / "lglg666")
    assert parts.recognise(tmp_path / "linked/SongGeneration-base-new/model.pt").name == "base-new"
    snapshot = tmp_path / "models--lglg666--SongGeneration-large" / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    for name in ("config.yaml", "model.pt"):
        (tmp_path / f"blob of {name}").symlink_to(layouts / "lglg666/SongGeneration-large" / name)
        (snapshot / name).symlink_to(tmp_path / f"blob of {name}")
    assert parts.recognise(snapshot / "model.pt").name == "large"
    assert checkpoints.lelm_config(snapshot / "model.pt") == RELEASED_CONFIGS["large"]


def test_the_version_is_told_by_the_style_table_and_not_by_the_folder(tmp_path: Path):
    for name, folder in (("v2-medium", "songgeneration_base"), ("base-full", "SongGeneration-v2-medium")):
        path = releases.write_release(tmp_path / folder, name)
        assert parts.recognise(path).name == name
        assert checkpoints.lelm_config(path) == RELEASED_CONFIGS[name]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("songgeneration_base", "base"),
        ("songgeneration_base_new", "base-new"),
        ("SongGeneration-base-new", "base-new"),
        ("SongGeneration-Base-New", "base-new"),
        ("base-new", "base-new"),
        ("songgeneration_large", "base"),  # its sizes say otherwise
        ("downloads", "base"),
    ],
)
def test_the_folder_tells_two_releases_of_one_size_apart_and_no_more(tmp_path, folder: str, name: str):
    assert parts.recognise(releases.write_release(tmp_path / folder, "base")).name == name


def test_a_lelm_with_an_edited_config_is_called_by_its_folder(tmp_path: Path):
    path = releases.write_release(tmp_path / "SongGeneration_mine", "base")
    (path.parent / "config.yaml").write_text(config_text("base", lyric=1024), encoding="utf-8")
    assert parts.recognise(path).name == "mine"
    assert checkpoints.lelm_config(path).lyric_length == 1024


def test_a_release_without_its_config_is_recognised_and_says_what_is_missing(tmp_path: Path):
    path = releases.write_release(tmp_path / "songgeneration_v2_large", "v2-large")
    (path.parent / "config.yaml").unlink()
    assert parts.recognise(path) == Part(Kind.LELM, "v2-large", path.stat().st_size)
    assert refusal(checkpoints.lelm_config, path) == (
        f"{path.parent / 'config.yaml'} is missing; put it beside the weights it was published with."
    )


def test_the_septoken_file_holds_a_second_part_and_no_other_file_does(layouts: Path):
    for path, name in releases.LAYOUTS["tencent"].items():
        second_kind = Kind.TRACK_ENCODER if name.startswith("septoken") else None
        assert parts.recognise(layouts / "tencent" / path).second_kind == second_kind


def test_safetensors_and_names_without_the_training_wrapper_are_as_good(tmp_path: Path):
    path = releases.write_release(tmp_path / "songgeneration_v2_medium", "v2-medium")
    plain = {name.removeprefix("audiolm."): tensor for name, tensor in releases.lelm("v2-medium").items()}
    for name, tensors in (("model.safetensors", releases.lelm("v2-medium")), ("plain.pt", plain)):
        file = releases.write(path.with_name(name), tensors)
        assert (parts.recognise(file).kind, parts.recognise(file).name) == (Kind.LELM, "v2-medium")
        assert checkpoints.lelm_config(file) == RELEASED_CONFIGS["v2-medium"]


@pytest.mark.parametrize(
    ("kind", "model", "config", "config_of"),
    [
        (Kind.LELM, LeLM(tiny.LELM), tiny.LELM, checkpoints.lelm_config),
        (Kind.RENDERER, Renderer(tiny.RENDERER), tiny.RENDERER, checkpoints.renderer_config),
        (Kind.VAE, Vae(tiny.VAE), tiny.VAE, checkpoints.vae_config),
    ],
)
def test_a_converted_file_says_itself_what_it_is(tmp_path: Path, kind: str, model, config, config_of):
    path = tmp_path / "my model.safetensors"
    converted.save(path, model, kind, config, Provenance("", ""), None, lambda done, total: None)
    assert parts.recognise(path) == Part(kind, "my model", path.stat().st_size)
    assert config_of(path) == config


# Damaged -------------------------------------------------------------------------------------------------

DAMAGE = {
    "a Git LFS pointer": lambda whole: (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    ),
    "a web page": lambda whole: b"<!DOCTYPE html><html>429 Too Many Requests</html>",
    "nothing": lambda whole: b"",
    "a line of text": lambda whole: b"Entry not found",
    "its first half": lambda whole: whole[: len(whole) // 2],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("path", releases.LAYOUTS["tencent"])
def test_a_damaged_file_is_the_part_its_name_says(layouts: Path, tmp_path: Path, path: str, damage: str):
    whole = layouts / "tencent" / path
    file = tmp_path / "folder" / whole.name
    file.parent.mkdir()
    with whole.open("rb") as start:  # of a safetensors file: the header, which is cut then
        file.write_bytes(DAMAGE[damage](start.read(50_000)))
    kind = releases.PARTS[part_of("tencent", path)][0]
    named = f"damaged folder/{whole.name}"
    assert parts.recognise(file) == Part(kind, named, file.stat().st_size, second_kind(kind))
    sentence = refusal(inventory, file)
    assert sentence.startswith(f"folder/{whole.name} ") and sentence.endswith(".")


def test_a_safetensors_file_without_its_last_bytes_is_damaged(tmp_path: Path):
    path = releases.write(tmp_path / "model_2.safetensors", releases.septoken(full=False))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    assert parts.recognise(path).name == f"damaged {tmp_path.name}/model_2.safetensors"


def test_a_pickle_that_is_not_plain_data_is_the_part_its_name_says(tmp_path: Path):
    for name, kind in (("model.pt", Kind.LELM), ("autoencoder_music_1320k.ckpt", Kind.VAE)):
        torch.save({"decoder.layers.0.weight_v": Path("/")}, tmp_path / name)
        assert parts.recognise(tmp_path / name).kind == kind
        sentence = f"{tmp_path.name}/{name} cannot be read as a checkpoint; download it again."
        assert refusal(inventory, tmp_path / name) == sentence


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["lora.safetensors", "pytorch_model.pt", "model_3.ckpt"])
def test_a_damaged_file_of_another_name_is_told_by_what_is_left_of_it(
    tmp_path: Path, name: str, damage: str
):
    whole = releases.write(tmp_path / name, releases.separator())
    whole.write_bytes(DAMAGE[damage](whole.read_bytes()))
    named = Part(Kind.SEPARATOR, f"damaged {tmp_path.name}/{name}", whole.stat().st_size)
    assert parts.recognise(whole) == (named if damage == "its first half" else None)


# Configs and loading at full size ------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "path"), LOADED)
def test_every_tensor_of_a_release_fits_at_full_size(layouts: Path, layout: str, path: str):
    file, name = layouts / layout / path, part_of(layout, path)
    model, _, layout_of_kind = for_loading(file)
    assert model.config == {**RELEASED_CONFIGS, "autoencoder_music_1320k": VaeConfig()}.get(
        name, RendererConfig()
    )
    tensors = inventory(file).tensors
    released.load(model, lambda: tensors, layout_of_kind)


@pytest.mark.parametrize(
    "path",
    [
        "ckpt/songgeneration_v2_large/model.pt",
        "ckpt/model_septoken/model_2.safetensors",
        "ckpt/vae/autoencoder_music_1320k.ckpt",
    ],
)
def test_a_file_is_read_in_pieces_and_never_as_a_whole(layouts: Path, path: str):
    """One of each kind, because reading zeros takes its time too; the shapes of the others fit as above."""
    arguments = for_loading(layouts / "tencent" / path)
    before = restart_peak()
    checkpoints.load_weights(*arguments)
    assert peak() - before < 900e6


def restart_peak() -> float:
    """Bytes of memory in use now, from which the peak is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Most bytes of memory that this process has had in use."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text()).group(1))


@pytest.mark.parametrize("json", ["with its json", "without its json"])
def test_the_size_of_the_vae_is_known(tmp_path: Path, json: str):
    path = releases.write_vae(tmp_path)
    if json.startswith("without"):
        (tmp_path / "stable_audio_1920_vae.json").unlink()
    assert checkpoints.vae_config(path) == VaeConfig()


def test_a_broken_json_beside_the_vae_is_not_passed_over(tmp_path: Path):
    path = releases.write_vae(tmp_path)
    beside = tmp_path / "stable_audio_1920_vae.json"
    beside.write_text("{")
    assert refusal(checkpoints.vae_config, path) == f"{beside} cannot be read; download it again."


# Refused -------------------------------------------------------------------------------------------------

NEEDED = {
    Kind.LELM: ("ckpt/songgeneration_v2_medium/model.pt", "model.pt of a SongGeneration release"),
    Kind.RENDERER: ("ckpt/model_septoken/model_2.safetensors", "model_2.safetensors of model_septoken"),
    Kind.VAE: ("ckpt/vae/autoencoder_music_1320k.ckpt", "autoencoder_music_1320k.ckpt"),
}
CHOSEN = {releases.PARTS[name][0]: path for path, name in releases.LAYOUTS["tencent"].items()}


@pytest.mark.parametrize("needed", NEEDED)
@pytest.mark.parametrize("chosen", CHOSEN)
def test_another_part_is_refused_with_both_named(layouts: Path, needed: str, chosen: str):
    if chosen == needed:
        return
    model, _, layout = for_loading(layouts / "tencent" / NEEDED[needed][0])
    sentence = refusal(checkpoints.load_weights, model, layouts / "tencent" / CHOSEN[chosen], layout)
    assert sentence == f"This file is a {chosen}; the {needed} needs {NEEDED[needed][1]}."


@pytest.mark.parametrize("path", CHOSEN.values())
def test_no_config_of_a_lelm_is_found_in_another_part(layouts: Path, path: str):
    file = layouts / "tencent" / path
    kind = parts.recognise(file).kind
    if kind == Kind.LELM:
        return
    assert refusal(checkpoints.lelm_config, file) == (
        f"{file.parent.name}/{file.name} is a {kind}; choose the model.pt of a SongGeneration release."
    )


def test_what_is_no_part_or_no_known_lelm_has_no_config(tmp_path: Path):
    path = releases.write_release(tmp_path / "songgeneration_base", "base")
    table = "audiolm.condition_provider.conditioners.type_info.output_proj.weight"
    other = {**releases.lelm("base"), table: torch.empty(151_700, 1536, device="meta")}
    for tensors in (other, releases.hubert_alone()):
        releases.write(path, tensors)
        assert refusal(checkpoints.lelm_config, path) == (
            "songgeneration_base/model.pt is not a LeLM of a known release; choose the model.pt of a "
            "SongGeneration release."
        )


def test_weights_with_the_config_of_another_release_are_refused(tmp_path: Path):
    path = releases.write_release(tmp_path / "songgeneration_large", "large")
    (path.parent / "config.yaml").write_text(config_text("base-full"), encoding="utf-8")
    sentence = refusal(checkpoints.load_weights, *for_loading(path))
    assert re.fullmatch(
        r"This file does not hold a LeLM of the expected size \(.*layers\.28\..*\)\.", sentence
    )


@pytest.mark.parametrize(
    ("change", "shape", "complaint"),
    [
        ("audiolm.layer2_emb.2.weight", None, "missing: layer2_emb.2.weight"),
        ("audiolm.lora.weight", (4,), "unexpected: lora.weight"),
        ("audiolm.emb.0.weight", (16_385, 1_536), "wrong in shape: emb.0.weight [16385, 1536]"),
    ],
)
def test_one_tensor_amiss_is_named(tmp_path: Path, change: str, shape, complaint: str):
    path = releases.write_release(tmp_path, "v2-medium")
    tensors = {name: tensor for name, tensor in releases.lelm("v2-medium").items() if name != change}
    releases.write(
        path, tensors if shape is None else {**tensors, change: torch.empty(shape, device="meta")}
    )
    sentence = refusal(checkpoints.load_weights, *for_loading(path))
    assert sentence == f"This file does not hold a LeLM of the expected size ({complaint})."


@pytest.fixture(scope="module")
def small() -> dict[str, Tensor]:
    """What model.pt of a small LeLM holds, with numbers, under names without a prefix."""
    return released_tensors(LeLM(SMALL, device="meta"), released.lelm_layout(SMALL))


@pytest.mark.parametrize("file", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("prefix", ["audiolm.", ""])
def test_every_form_of_a_lelm_fills_the_same_model(small, tmp_path: Path, file: str, prefix: str):
    text = config_text("v2-medium", dim=32, inner=48, heads=2, layers=2)
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    write = torch.save if file.endswith(".pt") else save_file
    write({f"{prefix}{name}": tensor for name, tensor in small.items()}, tmp_path / file)
    assert checkpoints.lelm_config(tmp_path / file) == SMALL
    model, expected = LeLM(SMALL), LeLM(SMALL)
    checkpoints.load_weights(model, tmp_path / file, released.lelm_layout(SMALL))
    released.load(expected, lambda: small, released.lelm_layout(SMALL))
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
