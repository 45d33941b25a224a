"""Files at random: listing never raises, and whoever opens one gets its tensors or one sentence.

The same cases on every run (`derandomize`); one that fails is to be added to tests/support/odd_files.py.
"""

from __future__ import annotations

import io
import json
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from support import gguf_models, libraries, odd_files
from support.release_texts import VAE_JSON, config_text

from levo import tiny
from levo.files import parts, plain_data, shards, style_library, tensor_file
from levo.files.checkpoint import fitting_config, open_checkpoint
from levo.files.listing import Listing
from levo.files.release_config import read_config, read_vae_config
from levo.files.style_library import StyleFileError
from levo.files.tensor_file import CheckpointError
from levo.kinds import MODELS, Kind
from levo.song import token_file
from levo.song.token_file import TokenFileError

fuzzed = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# What a file may be made of ------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-2, 70),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, float("inf"), float("nan")]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=5))
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "decoder.layers.0.weight_v",
            "condition_provider.conditioners.type_info.output_proj.weight",
            "rvq_bestrq_emb.quantizers.0.codebook.weight",
            "crosstransformer.layers.0.x",
            "crosstransformer.layers.999999999.x",
            "encoder.0.conv.weight",
            "encoder.0.dconv.layers.0.0.weight",
            "channel_upsampler.weight",
            "codes",
            "__metadata__",
        ]
    ),
)
METADATA = st.dictionaries(
    st.sampled_from(["levo.part", "levo.format", "levo.config", "levo.song", "klass", "args", "kwargs"]),
    st.sampled_from(["1", "2", "LeLM", "VAE", "renderer", "style", "song tokens", "{}", "[]", "[[[", "x"])
    | JSON,
    max_size=4,
)
ENTRIES = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "I16", "BOOL", "F4", "BF16"]) | JSON,
            "shape": st.lists(st.integers(0, 4), max_size=3) | JSON,
            "data_offsets": st.tuples(st.integers(0, 30), st.integers(0, 30)) | JSON,
        }
    ),
)
HEADERS = st.one_of(
    st.dictionaries(NAMES, ENTRIES, max_size=4).flatmap(
        lambda said: METADATA.map(lambda more: said | {"__metadata__": more})
    ),
    JSON,
)
WHOLE = save({"codes": torch.zeros(3, 250, dtype=torch.int16), "a": torch.ones(2)}, {"levo.part": "style"})


def changed(content: bytes) -> st.SearchStrategy[bytes]:
    """A file with bytes in it changed, cut out or put in."""

    def change(of: tuple[int, int, bytes]) -> bytes:
        at, length, new = of
        return content[:at] + new + content[at + length :]

    places = st.integers(0, min(len(content), 600)) | st.integers(0, len(content))
    return st.tuples(places, st.integers(0, 40), st.binary(max_size=8)).map(change)


def small_gguf() -> bytes:
    """The decoder of a small VAE."""
    with TemporaryDirectory() as folder:
        return gguf_models.write_vae(Path(folder) / "x.gguf", "F16").path.read_bytes()


def checkpoint(content: object) -> bytes:
    """What torch writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
GLOBALS = [
    b"ccollections\nOrderedDict\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch\nFloatStorage\n",
    b"cbuiltins\nset\n",
    b"ctorch\nSize\n",
    b"c_codecs\nencode\n",
    b"cos\nsystem\n",
    b"cdemucs.htdemucs\nHTDemucs\n",
]
VALUES = [
    b"K\x01",
    b"J\xff\xff\xff\x7f",
    b"X\x01\x00\x00\x00a",
    b"}",
    b"]",
    b")",
    b"N",
    b"(",
    b"q\x00",
    b"h\x00",
]
PICKLES = st.lists(st.sampled_from(OPCODES + GLOBALS * 4 + VALUES * 6), max_size=30).map(
    lambda pieces: b"\x80\x02" + b"".join(pieces) + b"."
)


# What may come of it -------------------------------------------------------------------------------------


def sentence(error: Exception) -> None:
    text = str(error)
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < 5_000, text


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call gives; None if it refuses in one sentence. Anything else that it raises fails."""
    try:
        return call(*arguments)
    except (CheckpointError, StyleFileError, TokenFileError) as error:
        sentence(error)
        return None


def ask(path: Path) -> None:
    """Whatever the pack asks of a weight file."""
    (found,) = Listing().files([path.parent])
    assert found.path == path
    damage = parts.damage_of(path)
    assert damage is None or (damage.endswith(".") and "\n" not in damage)
    file = outcome(open_checkpoint, path)
    for kind in MODELS if file else ():
        outcome(fitting_config, file, kind)
    outcome(tensor_file.read, path)
    outcome(style_library.load_style, path)
    library = outcome(style_library.read_library, path)
    for style in library or ():
        outcome(style_library.pick, library, style, style_library.ANY, 0)
    if path.suffix == tensor_file.SAFETENSORS:
        assert token_file.is_song(path) in (True, False)
        outcome(token_file.load, path)


@fuzzed
@given(header=HEADERS, data=st.binary(max_size=40), odd=st.integers(0, 9))
def test_safetensors_of_any_header(tmp_path: Path, header: Any, data: bytes, odd: int):
    text = json.dumps(header).encode()
    length = struct.pack("<Q", len(text) + (odd - 5 if odd > 7 else 0))
    (tmp_path / "x.safetensors").write_bytes(length + text + data)
    ask(tmp_path / "x.safetensors")


@fuzzed
@given(content=changed(small_gguf()))
def test_gguf_of_any_change(tmp_path: Path, content: bytes):
    (tmp_path / "x.gguf").write_bytes(content)
    ask(tmp_path / "x.gguf")


@fuzzed
@given(values=st.dictionaries(st.text(max_size=8), LEAVES, max_size=4), said=JSON)
def test_indexes_of_any_content(tmp_path: Path, values: Any, said: Any):
    path = tmp_path / f"x{shards.INDEX}"
    for content in (said, {"weight_map": said}, {"weight_map": values}):
        path.write_text(json.dumps(content))
        ask(path)


@fuzzed
@given(content=changed(WHOLE))
def test_safetensors_of_any_change(tmp_path: Path, content: bytes):
    (tmp_path / "x.safetensors").write_bytes(content)
    ask(tmp_path / "x.safetensors")


@fuzzed
@given(content=changed(checkpoint({"state_dict": {"decoder.layers.0.weight_v": torch.zeros(2, 3)}})))
def test_checkpoints_of_any_change(tmp_path: Path, content: bytes):
    (tmp_path / "x.pt").write_bytes(content)
    ask(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore::UserWarning")
@fuzzed
@given(pickled=PICKLES)
def test_checkpoints_of_any_pickle(tmp_path: Path, pickled: bytes):
    odd_files.zipped(tmp_path / "x.pt", pickled, count=1)
    ask(tmp_path / "x.pt")


KEYS = st.one_of(
    st.text(max_size=4), st.integers(), st.none(), st.sampled_from(["state_dict", "state", "zh"])
)
TENSORS = st.sampled_from(
    [
        torch.zeros(()),
        torch.zeros(1, 3, 250),
        torch.zeros(1, 3, 250, dtype=torch.int64),
        torch.zeros(1, 3, 250, dtype=torch.uint16),
        torch.zeros(1, 3, 250, dtype=torch.bool),
        torch.zeros(1, 3, 250, dtype=torch.complex64),
        torch.zeros(1, 3, 2, dtype=torch.int64),
        torch.zeros(1, 3, 250, dtype=torch.int64).to_sparse(),
    ]
)
CONTENTS = st.recursive(
    LEAVES | TENSORS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | NAMES, inner, max_size=4),
    max_leaves=10,
)


@fuzzed
@given(content=CONTENTS)
def test_checkpoints_of_any_content(tmp_path: Path, content: Any):
    libraries.write(tmp_path / "x.pt", content)
    ask(tmp_path / "x.pt")


# Configs -------------------------------------------------------------------------------------------------

TEXT = config_text("v2-medium")
VALUE = st.one_of(
    LEAVES.map(json.dumps),
    JSON.map(json.dumps),
    st.sampled_from(
        [
            "*a",
            "&a [*a]",
            "!!int x",
            "!x y",
            "2025-02-30",
            "0x_",
            ".inf",
            "-.nan",
            "1:1:1",
            "|\n  x",
            "${a}",
            "~",
        ]
    ),
    st.text(st.characters(codec="utf-8"), max_size=8),
)


@fuzzed
@given(line=st.integers(0, TEXT.count("\n") - 1), value=VALUE)
def test_a_config_yaml_with_any_value(tmp_path: Path, line: int, value: str):
    lines = TEXT.split("\n")
    key, colon, _ = lines[line].partition(":")
    lines[line] = f"{key}{colon} {value}"
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    config = outcome(read_config, path, "v2")
    assert config is None or 1 <= config.layers <= 200 and config.head_width % 2 == 0


@fuzzed
@given(text=st.text(st.sampled_from("a: -[]{}*&!|>\n\t#'\"?,%@`.0123456789xe_~<"), max_size=60))
def test_yaml_of_any_text(text: str):
    try:
        plain_data.from_yaml(text)
    except plain_data.PlainDataError as error:
        assert "\n" not in str(error)


def places(tree: Any, at: tuple = ()) -> list[tuple]:
    """Paths to all values of a JSON document."""
    if not isinstance(tree, dict):
        return [at]
    return [at, *(place for key, value in tree.items() for place in places(value, (*at, key)))]


@fuzzed
@given(place=st.sampled_from(places(VAE_JSON)[1:]), value=JSON)
def test_a_json_of_the_vae_with_any_value(tmp_path: Path, place: tuple, value: Any):
    content = json.loads(json.dumps(VAE_JSON))
    branch = content
    for key in place[:-1]:
        branch = branch[key]
    branch[place[-1]] = value
    path = tmp_path / "vae.json"
    path.write_text(json.dumps(content))
    config = outcome(read_vae_config, path)
    assert config is None or config.ratio == 1_920


@fuzzed
@given(
    kind=st.sampled_from([Kind.LELM, Kind.RENDERER, Kind.VAE, Kind.SEPARATOR, Kind.MIXED_ENCODER]),
    field=st.sampled_from([*vars(tiny.LELM), *vars(tiny.RENDERER), *vars(tiny.VAE), "other"]),
    value=JSON,
)
def test_a_config_of_ours_with_any_value(tmp_path: Path, kind: Kind, field: str, value: Any):
    config = {name: str(v) if name == "segment" else v for name, v in vars(MODELS[kind].tiny).items()}
    said = json.dumps(config | {field: value})
    path = tmp_path / "x.safetensors"
    path.write_bytes(
        save({"a": torch.zeros(1)}, {"levo.format": "1", "levo.part": kind, "levo.config": said})
    )
    ask(path)
