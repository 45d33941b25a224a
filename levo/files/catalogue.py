"""Where the released files of each part are published, and what is known of them.

Numbers and hashes were gathered by others from the published files; a hash that nobody published is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

LICENCE = (
    "The weights are Tencent's and carry their own licence: research and education only, no commercial use."
)
LICENCE_PAGE = "https://huggingface.co/tencent/SongGeneration"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a Hugging Face repository at a pinned revision."""

    repository: str
    revision: str  # commit, or a branch where no commit is known
    path: str  # within the repository
    size: int  # bytes; exact where the hash is known, else about
    sha256: str | None = None

    @property
    def local_path(self) -> PurePosixPath:
        """Where the file belongs below models/levo: the repository's own layout."""
        return PurePosixPath(self.repository.rpartition("/")[2], self.path)


def _release(
    name: str, revision: str, config: tuple[int, str | None], model: tuple[int, str | None]
) -> tuple[RemoteFile, ...]:
    repository = f"lglg666/SongGeneration-{name}"
    return (
        RemoteFile(repository, revision, "config.yaml", *config),
        RemoteFile(repository, revision, "model.pt", *model),
    )


def _runtime(path: str, size: int, sha256: str | None) -> RemoteFile:
    revision = "cc258cc694a63114c61684cc26d0583b8ad777d0"
    return RemoteFile("lglg666/SongGeneration-Runtime", revision, path, size, sha256)


RELEASES = {
    "v2-medium": _release(
        "v2-medium",
        "7d91660ebfa041e29bace194f5631e775796f600",
        (3_351, "9b1e1cb79b9824816e9f119e1d3e1c3dbb91265121fdd4219667f8e0158a563f"),
        (7_343_951_582, "4ef2be41f6d838824f5432491408f68d9ffbeda3b1349e1208f9cdfcc64445b1"),
    ),
    "v2-large": _release(
        "v2-large",
        "115805364ad74479fb3764fe65970c92faeb1a5a",
        (3_352, "14a991bd7342b9dde348e6324afd44b5c6ecb1db8d0ed4d2dbe666b220b04c59"),
        (12_899_965_446, "dc763aa9a76a22a87597c2faf9a51c24d13349ac754699b37e9068b483639def"),
    ),
    "base": _release("base", "main", (3_349, None), (11_318_000_000, None)),
    "base-new": _release("base-new", "main", (3_349, None), (11_318_000_000, None)),
    "base-full": _release("base-full", "main", (3_351, None), (11_318_000_000, None)),
    "large": _release("large", "main", (3_352, None), (20_489_000_000, None)),
}
RENDERER = (
    _runtime(
        "ckpt/model_septoken/model_2.safetensors",
        4_808_167_708,
        "430b7c1c245722fbe3893cd621b3d4a90076404596e9fb1ce987a4a0f2a4fc6f",
    ),
)
VAE = (
    _runtime(
        "ckpt/vae/autoencoder_music_1320k.ckpt",
        674_920_616,
        "10ccb6c83613781ad32e998a90597ba7eb9292911a224598da1fd53728eb4cd3",
    ),
    _runtime(
        "ckpt/vae/stable_audio_1920_vae.json",
        3_613,
        "5cd2859efe00bc2b0f6f9bdac738ad11822a36473d6d810427b60efd057c538b",
    ),
)
# The full generation of this file, in lglg666/SongGeneration-Runtime, is seven times as large and holds the
# same encoder beside parts that nothing here uses.
MIXED_ENCODER = (
    RemoteFile(
        "tencent/SongGeneration", "main", "ckpt/model_1rvq/model_2_fixed.safetensors", 659_470_000, None
    ),
)
SEPARATOR = (_runtime("third_party/demucs/ckpt/htdemucs.pth", 168_140_000, None),)
FILES = (
    *(file for release in RELEASES.values() for file in release),
    *RENDERER,
    *VAE,
    *MIXED_ENCODER,
    *SEPARATOR,
)
