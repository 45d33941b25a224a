"""Where the released files of each part are published, and what is known of them.

Numbers and hashes were gathered by others from the published files; a hash that nobody published is None.
Copies in other repositories are taken by choice, and only of files whose hash is known: it decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    space: bool = False  # the repository is a Space, not a model's
    place: PurePosixPath | None = None  # below models/levo, of a copy

    @property
    def local_path(self) -> PurePosixPath:
        """Where the file belongs below models/levo: the repository's own layout, for a copy the first's."""
        return self.place or PurePosixPath(self.repository.rpartition("/")[2], self.path)

    @property
    def page(self) -> str:
        """The repository's address for people."""
        return f"https://huggingface.co/{'spaces/' if self.space else ''}{self.repository}"


def _release(
    name: str,
    revision: str,
    config: tuple[int, str | None],
    model: tuple[int, str | None],
    owner: str = "lglg666",
) -> tuple[RemoteFile, ...]:
    repository = f"{owner}/SongGeneration-{name}"
    return (
        RemoteFile(repository, revision, "config.yaml", *config),
        RemoteFile(repository, revision, "model.pt", *model),
    )


RUNTIME = "lglg666/SongGeneration-Runtime"


def _runtime(path: str, size: int, sha256: str | None) -> RemoteFile:
    return RemoteFile(RUNTIME, "cc258cc694a63114c61684cc26d0583b8ad777d0", path, size, sha256)


def _ggufs(*known: tuple[str, int, str]) -> dict[str, tuple[RemoteFile, ...]]:
    repository, revision = "ckadirt/LeVo2-GGUF", "9d7b5746fdc74fdc80f85295e7b6c783be3703da"
    return {
        name: (RemoteFile(repository, revision, f"LeVo2-{name}.gguf", size, sha256),)
        for name, size, sha256 in known
    }


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
    "v1.5-beta": _release("v1.5-beta", "main", (3_352, None), (20_489_000_000, None), owner="waytan22"),
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
# Of the prompt libraries the one that is still published: the repository on GitHub that had the other one
# answers 404 since September 2026.
PROMPT_LIBRARY = (
    RemoteFile(
        "tencent/SongGeneration",
        "main",
        "tools/new_prompt.pt",
        2_102_124,
        "db5490d73565f95047fa826cd43d2e1416f3b15e61bebd57c193813b752cb988",
        space=True,
    ),
)

# The same models in small files, by name; sizes and hashes are those that their publisher wrote down.
GGUF_LELM = _ggufs(
    ("v2-medium-F16", 5_467_925_728, "b765d0e79f17cf05c0acdc6cef8bfcd072104adfd8357bb0470f5b9ae91d9e64"),
    ("v2-medium-Q8_0", 2_909_949_120, "706cd0b3fcb84c7d4522745331e679114a288deab5dfcad37d546ebb6d002291"),
    ("v2-medium-Q6_K", 2_249_071_968, "06304f3f49ee6d1ed9265dde0651af199017cb6ca743d5f5011f6900a63a3c90"),
    ("v2-medium-Q5_K_M", 2_077_777_248, "fc8616097d264d8b5437ab01f453d9ac1bfaba9ef834f3a47d728f0fd20724de"),
    ("v2-medium-Q4_K_M", 1_916_558_688, "9412bb0ef5373fd0b9085fd24e4b5ffa0d341efece3829067563816d44d4aeca"),
    ("v2-large-F16", 9_986_305_440, "368cba66fabbdca3d208d4c15a9c9c2059ea5d8ca2a822ee3a3f1d9f854134d5"),
    ("v2-large-Q8_0", 5_310_562_912, "0b17c5d662d99de8e9de0607e1bc779c30e87389b922683217a128678fa7656f"),
    ("v2-large-Q6_K", 4_102_556_992, "5f46280c137a5ee425bd86d852165a1b6065684e9e401efc4b58889155a8a5c6"),
    ("v2-large-Q5_K_M", 3_761_638_720, "21c0d63654430acf7a004bc054a18a6e12edc60c5664ff7c507052a0ce5fee14"),
    ("v2-large-Q4_K_M", 3_440_774_464, "c0feff05364587001045df4d8915671b9a811dc6d4081fe0d213e06f765a0ca9"),
)
GGUF_RENDERER = _ggufs(
    ("v2-flow-F32", 2_653_259_456, "a8cf50dbecef243501b9b345109b1d2f283b3e22f4e4856715197e4b22129d10"),
    ("v2-flow-Q8_0", 835_813_888, "9e27b8d060edd8b57b8c3033b14260de5cfa08cde8e3c58532a3ce439bfced3a"),
    ("v2-flow-Q6_K", 707_404_288, "a3579de6915c5ea060072b83af4e158e729834a8a13f62f1b370ef82e7317c00"),
    ("v2-flow-Q5_K_M", 653_548_032, "0c36bdda1148068aeca4e32abedeeaa9445b672e20f841d0fef84d250b447dcb"),
    ("v2-flow-Q4_K_M", 602_860_032, "08cc21590702f1c2e9bc62b164d4ae82b9b95d1b1985e13329c2f9d3fae89edc"),
)
GGUF_VAE = _ggufs(
    ("v2-vae-F32", 337_596_448, "26f9ea955f586ed3d7668fe345a851ba222b8db95b406e3eea3c9565f4a0b515"),
    ("v2-vae-F16", 168_805_120, "23e5b11558ae332fbe216d9a06775884469fcbf32236c26ab52defa18c5c8398"),
)

FILES = tuple(
    file
    for files in (
        *RELEASES.values(),
        RENDERER,
        VAE,
        MIXED_ENCODER,
        SEPARATOR,
        PROMPT_LIBRARY,
        *GGUF_LELM.values(),
        *GGUF_RENDERER.values(),
        *GGUF_VAE.values(),
    )
    for file in files
)

# Repositories that hold copies: how a file's repository and path begin -> how its path begins there.
COPIES = {
    "tencent/SongGeneration": {
        "lglg666/SongGeneration-v2-medium/": "songgeneration_v2_medium/",
        "lglg666/SongGeneration-v2-large/": "songgeneration_v2_large/",
        f"{RUNTIME}/ckpt/vae/": "ckpt/vae/",
    },
    "eastmoe/SongGeneration": {
        "lglg666/SongGeneration-v2-large/": "SongGeneration-v2-large/",
        f"{RUNTIME}/ckpt/": "common/",
    },
}


def copy_in(repository: str, file: RemoteFile) -> RemoteFile:
    """The same file in one of COPIES, with the same place on the disk; itself where there is none.

    A file whose hash is not known has none: nobody could tell whether it is the same.
    """
    whole = f"{file.repository}/{file.path}"
    for first, replacement in COPIES[repository].items():
        if file.sha256 and whole.startswith(first):
            path = replacement + whole.removeprefix(first)
            return replace(file, repository=repository, revision="main", path=path, place=file.local_path)
    return file
