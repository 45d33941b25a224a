"""Odd and damaged files in the model folders: all nodes must still be described, no load may die or lie."""

from __future__ import annotations

from attack import nodes  # first: it starts ComfyUI and imports the pack

# isort: split
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from levo_pack.levo.kinds import Kind
from levo_pack.nodes import loading
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support import libraries, odd_gguf, releases

from attack.judge import Findings, Silent, progress

SEED = 14
NUMBERS = (0, -1, 10**9, 32.9, True, float("nan"), float("inf"))
LAUGHS = "a: &a [x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML_KEYS = """dim intermediate_size num_heads num_layers num_layers_sub rope_theta code_size code_depth
max_dur prompt_len delays max_len"""
YAML_VALUES = "0 -1 1e9 1000000000 32.9 .nan .inf true x [1] {a:1} null"
YAML_LINES = (
    "released: 2025-02-30",
    "a: !!int abc",
    "a: 0x_",
    "a: !!python/object:os.system x",
    "a: &a [*a]",
    "? [a]\n: b",
    "\t",
    "a: !!binary x",
    "<<: *b",
)
INDEXES: dict[str, Any] = {
    "a list": [],
    "no map": {"metadata": {}},
    "a map of numbers": {"weight_map": {"a": 1}},
    "the folder above": {"weight_map": {"type_info_output_proj.weight": "../x.safetensors"}},
    "the root": {"weight_map": {"type_info_output_proj.weight": "/etc/passwd.safetensors"}},
    "a file that is missing": {"weight_map": {"type_info_output_proj.weight": "x.safetensors"}},
    "itself": {"weight_map": {"type_info_output_proj.weight": "model.safetensors.index.json"}},
    "ten thousand files": {"weight_map": {f"t{n}": f"{n}.safetensors" for n in range(10_000)}},
}
Write = Callable[[Path], Any]


def main() -> None:
    """Describe all nodes beside each file, then load it, where it is offered or not."""
    findings, base = Findings("files"), _base()
    for name, loader, write in _cases(base):
        shutil.rmtree(nodes.WEIGHTS)
        path = nodes.WEIGHTS / name
        path.parent.mkdir(parents=True)
        what = f"{loader} {name} {getattr(write, 'label', '')}"
        try:
            write(path)
        except OSError as error:  # this disk cannot have such a file
            progress(f"{what}: {error}")
            continue
        findings.attempt(f"listing beside {what}", nodes.describe_all)
        findings.attempt(f"loading {what}", partial(_load, loader, name))
    shutil.rmtree(nodes.WEIGHTS)
    findings.report()


def _load(loader: str, name: str) -> None:
    if (
        loader == "LeVoLoadLeLM"
    ):  # whose released configs may be odd and still fit; gigabytes are not loaded
        loading.open_file(Kind.LELM, nodes.folders.path_of(Kind.LELM, name))
        return
    choice = {"LeVoLoadStyleEncoder": "septoken", "LeVoStyleFromLibrary": "style"}.get(loader, "checkpoint")
    nodes.run(loader, **{choice: name})
    raise Silent("was loaded")


def _base() -> dict[str, Path]:
    """Whole files of our own, to be damaged."""
    folder = nodes.ROOT / "base"
    folder.mkdir()
    files = {}
    for kind in ("VAE", "Renderer"):
        file = nodes.run("LeVoSaveCheckpoint", model=nodes.tiny(kind), name=f"base-{kind}", dtype="fp16")[0]
        files[kind] = Path(shutil.move(file, folder / f"{kind}.safetensors"))
    return files


def _cases(base: dict[str, Path]) -> Iterator[tuple[str, str, Write]]:
    """Name of the file, what loads it, what writes it; none is to be loaded."""
    chance = random.Random(SEED)
    for kind, whole in base.items():
        loader = f"LeVoLoad{kind}"
        for n in range(40):
            write = _labelled(partial(_cut, whole, chance.random()), f"cut {n}")
            yield "my.safetensors", loader, write
        for label, header in _headers(whole, chance):
            yield "my.safetensors", loader, _labelled(partial(_with_header, whole, header), label)
        for label, change in _tensors(chance):
            yield "my.safetensors", loader, _labelled(partial(_with_tensor, whole, change), label)
    for label, content in {**odd_gguf.BROKEN, **odd_gguf.FOREIGN}.items():
        yield "my-vae.gguf", "LeVoLoadVAE", _labelled(partial(_written, content), f"GGUF: {label}")
    for label, said in INDEXES.items():
        write = _labelled(partial(_written, json.dumps(said).encode()), f"index: {label}")
        yield "model.safetensors.index.json", "LeVoLoadLeLM", write
    for label, value in _pickles():
        yield "x.pt", "LeVoLoadVAE", _labelled(partial(_pickled, value), label)
        yield (
            "prompts/new_auto_prompt.pt",
            "LeVoStyleFromLibrary",
            _labelled(partial(_pickled, value), label),
        )
    for label, text in _yamls():
        for name in ("v2-medium", "v2-large"):
            yield f"{name}/model.pt", "LeVoLoadLeLM", _labelled(partial(_release, name, text), label)
    for label, text in _jsons():
        path = "vae/autoencoder_music_1320k.ckpt"
        yield path, "LeVoLoadVAE", _labelled(partial(_vae, text), label)
    for label, write in _odd():
        for name in ("x.safetensors", "y.pt", "styles/z.safetensors", "v2-medium/model.pt"):
            yield name, "LeVoLoadLeLM", _labelled(write, label)


def _labelled(write: Write, label: str) -> Write:
    def labelled(path: Path) -> None:
        write(path)

    labelled.label = label
    return labelled


def _written(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _cut(whole: Path, part: float, path: Path) -> None:
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])


def _headers(whole: Path, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    header = json.loads(_header(whole))
    names = [name for name in header if name != "__metadata__"]
    odd = [None, True, -1, 2**63, 1e30, float("nan"), "8", [], {}, [[0]], "F4096", ["a"], [0], [0, 1, 2]]
    for value in odd:
        for key in ("dtype", "shape", "data_offsets"):
            name = chance.choice(names)
            yield f"{key} {value!r}", json.dumps(header | {name: header[name] | {key: value}}).encode()
        yield f"entry {value!r}", json.dumps(header | {chance.choice(names): value}).encode()
        yield f"metadata {value!r}", json.dumps(header | {"__metadata__": value}).encode()
        for key in ("levo.part", "levo.format", "levo.config"):
            changed = header["__metadata__"] | {key: str(value)}
            yield f"{key} {value!r}", json.dumps(header | {"__metadata__": changed}).encode()
    config = json.loads(header["__metadata__"]["levo.config"])
    for key, known in config.items():
        for value in (*NUMBERS, "x", None, [], [0], [-1], [10**9] * 4):
            if value != known:
                text = json.dumps(config | {key: value})
                changed = header["__metadata__"] | {"levo.config": text}
                yield f"config {key} {value!r}", json.dumps(header | {"__metadata__": changed}).encode()
    for name in chance.sample(names, min(10, len(names))):
        yield f"without {name}", json.dumps({k: v for k, v in header.items() if k != name}).encode()
        renamed = {f"{key}x" if key == name else key: entry for key, entry in header.items()}
        yield f"{name} renamed", json.dumps(renamed).encode()
    for depth in (100, 100_000):
        yield f"nested {depth}", b"[" * depth
        yield f"entries nested {depth}", b'{"a":' * depth
    for junk in (b"", b"{}", b"[]", b"null", b"\xff\xfe", b"{" * 9, b'{"a":1', b"0", b" " * 4096):
        yield f"header {junk[:9]!r}", junk


def _header(whole: Path) -> bytes:
    with whole.open("rb") as file:
        return file.read(int.from_bytes(file.read(8), "little"))


def _with_header(whole: Path, header: bytes, path: Path) -> None:
    data = whole.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[start:])


def _tensors(chance: random.Random) -> Iterator[tuple[str, Callable[[torch.Tensor], torch.Tensor]]]:
    kinds = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64)
    for dtype in (*kinds, torch.float64):
        yield f"a tensor of {dtype}", lambda tensor, dtype=dtype: tensor.to(dtype)
    for value in (float("nan"), float("inf"), -float("inf")):
        for _ in range(5):
            yield f"a weight {value}", partial(_poisoned, value, chance.random())
    yield "a tensor of another shape", lambda tensor: torch.cat((tensor, tensor))
    yield "an empty tensor", lambda tensor: tensor[:0]


def _poisoned(value: float, where: float, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[int(where * tensor.numel())] = value
    return tensor


def _with_tensor(whole: Path, change: Callable[[torch.Tensor], torch.Tensor], path: Path) -> None:
    tensors = load_file(whole)
    with safe_open(whole, "pt") as file:
        metadata = file.metadata()
    name = max(tensors, key=lambda name: tensors[name].numel())
    save_file(tensors | {name: change(tensors[name])}, path, metadata)


def _pickles() -> Iterator[tuple[str, Any]]:
    zero = torch.zeros(2)
    for key in (0, 1.5, None, True, b"a", (1, 2), "a", "audiolm.emb.0.weight", "\ud83d"):
        yield f"name {key!r}", {key: zero}
        yield f"state dict, name {key!r}", {"state_dict": {key: zero}}
    for value in (None, 1, "text", [], {}, [zero], zero, {"a": None}, {"a": [zero]}, {"state_dict": 3}):
        yield f"content {type(value).__name__}", value
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    yield "nested lists", deep
    loop: list[Any] = []
    loop.append(loop)
    yield "a list in itself", loop
    for codes in (torch.full((1, 3, 250), 20000), torch.zeros(1, 3, 250), torch.zeros(3, 250).bool()):
        yield f"style codes {codes.dtype}", {"pop": {"en": [codes]}}
    yield "a style of 4 streams", {"pop": [torch.zeros(1, 4, 250, dtype=torch.int64)]}
    yield "sparse", {"pop": [libraries.entry(1).to_sparse()]}


def _pickled(value: Any, path: Path) -> None:
    try:
        torch.save(value, path)
    except (RecursionError, UnicodeEncodeError, RuntimeError):
        path.write_bytes(pickle.dumps(None))


def _yamls() -> Iterator[tuple[str, str]]:
    text = releases.config_text("v2-medium")
    for key in YAML_KEYS.split():
        for number in ("", *YAML_VALUES.split()):
            yield (
                f"{key} {number}",
                "".join(
                    f"{line.partition(':')[0]}: {number}\n" if line.strip().startswith(f"{key}:") else line
                    for line in text.splitlines(keepends=True)
                ),
            )
    for line in (*YAML_LINES, "a: " + "[" * 5000, "a: " + "9" * 5000):
        yield line[:30], f"{text}\n{line}\n"
    yield "billion laughs", text + LAUGHS
    yield "5 MB", text + "many: [" + "1, " * 1_700_000 + "1]\n"
    yield "empty", ""
    yield "a list", "- 1\n- 2\n"


def _release(name: str, text: str, path: Path) -> None:
    releases.write_release(path.parent, name)
    (path.parent / "config.yaml").write_text(text, encoding="utf-8")


def _jsons() -> Iterator[tuple[str, str]]:
    for key in ("strides", "channels", "c_mults", "latent_dim", "sample_rate"):
        for value in (0, -1, 10**9, 1.5, "x", None, [], ["a"], [0] * 5, [10**9] * 5, True):
            yield f"{key} {value!r}", json.dumps(_changed(releases.VAE_JSON, key, value))
    for text in ("", "[]", "{", "[" * 100_000, '{"a":' * 100_000, "null", '{"model": 3}', " " * 5_000_000):
        yield repr(text[:12]), text


def _changed(value: Any, key: str, new: Any) -> Any:
    if isinstance(value, dict):
        return {name: new if name == key else _changed(each, key, new) for name, each in value.items()}
    return value


def _vae(text: str, path: Path) -> None:
    releases.write_vae(path.parent)
    (path.parent / "stable_audio_1920_vae.json").write_text(text, encoding="utf-8")


def _odd() -> Iterator[tuple[str, Write]]:
    yield "fifo", os.mkfifo
    yield "folder", Path.mkdir
    yield "link to itself", lambda path: path.symlink_to(path)
    yield "link to nothing", lambda path: path.symlink_to(path.with_name("nothing"))
    yield "link to a device", lambda path: path.symlink_to("/dev/zero")
    yield "empty", Path.touch
    yield "html", lambda path: path.write_text("<!doctype html><html>")
    yield "git lfs", lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n")
    yield "zeros", lambda path: path.write_bytes(bytes(4096))
    yield "a hole of 9 GB", lambda path: (path.touch(), os.truncate(path, 9_000_000_000))
    yield "zip of no pickle", partial(_zipped, "other.txt", b"x")
    yield "a pickle that inflates to 600 MB", partial(_zipped, "archive/data.pkl", bytes(600_000_000))
    yield "zip of a broken pickle", partial(_zipped, "archive/data.pkl", b"\x80\x02}q\x00(X\xff\xff")
    yield "no rights", lambda path: (path.write_bytes(bytes(64)), path.chmod(0))
    yield "a name of no UTF-8", lambda path: (path.parent / os.fsdecode(b"\xff.pt")).touch()


def _zipped(name: str, content: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)


if __name__ == "__main__":
    main()
