"""Texts to ids: Qwen2's byte-level BPE with the special tokens of lyrics and styles.

The vocabulary is read from a folder with Qwen2's `vocab.json` and `merges.txt` (ComfyUI ships one). For
the built-in models there is one of bytes alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, pre_tokenizers
from tokenizers.models import BPE

from .style import PURE_MUSIC
from .tags import TAGS
from .unicode import composed, half_character, half_named

PAD = 151_643  # <|endoftext|>
START = "<|im_start|>"
SPECIALS = ("<|endoftext|>", START, "<|im_end|>")
MARKERS = tuple(f"[Musicality-{level}]" for level in ("very-high", "high", "medium", "low", "very-low"))
FIRST_TAG = 151_646
Vocabulary = tuple[dict[str, int], list[tuple[str, ...]]]  # numbers of words, and which are joined
SHOWN = 40  # characters of a text in an error
ENCODER_BYTES = 64_000_000  # of memory that making an encoder takes at most; 45 MB were measured

# How Qwen2 splits text before byte-pair encoding.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Tokens:
    """Ids of a text with its start token, and for each the number of the section it stands in."""

    ids: list[int]
    structure: list[int]


class Tokenizer:
    """The lyric and the style vocabulary of one version of the models."""

    def __init__(self, source: Path | str | Vocabulary | None, version: str):
        """Read Qwen2's files.

        Args:
            source: a folder that holds `vocab.json` and `merges.txt`, or what is in them; None for a
                built-in vocabulary of bytes, which the demo models read.
            version: "v1" or "v2".

        Raises:
            FileNotFoundError: a file is missing.
            MemoryError: there is not enough memory.
        """
        self.reads_bytes = source is None
        if isinstance(source, tuple):
            vocabulary, merges = source
        else:
            vocabulary, merges = _bytes() if source is None else _read(Path(source))
        tags = [f"[{tag}]" for tag in TAGS]
        markers = [*MARKERS, PURE_MUSIC] if version == "v2" else []
        self._lyric = _encoder(vocabulary, merges, tags, version)
        self._style = _encoder(vocabulary, merges, markers, version)

    def lyric(self, text: str) -> Tokens:
        """Encode lyrics; a section's number runs from its tag to the next tag, 0 before the first.

        Raises:
            ValueError: the text has half a character in it.
        """
        ids = _encode(self._lyric, text)
        structure, section = [], 0
        for token in ids:
            section = token - FIRST_TAG + 1 if token >= FIRST_TAG else section
            structure.append(section)
        return Tokens(ids, structure)

    def style(self, text: str) -> Tokens:
        """Encode a style text.

        Raises:
            ValueError: the text has half a character in it.
        """
        ids = _encode(self._style, text)
        return Tokens(ids, [0] * len(ids))

    def decode(self, ids: list[int]) -> str:
        """The text of lyric ids, to tell a user what was cut."""
        return self._lyric.decode(ids, skip_special_tokens=False).strip()


def _read(folder: Path) -> Vocabulary:
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    # Only the version line is a comment: "# #" is a rule like any other.
    return vocabulary, [
        tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")
    ]


def _bytes() -> Vocabulary:
    """A vocabulary in which every byte is a word, and special tokens have Qwen2's ids."""
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    words += [f"<|{number}|>" for number in range(len(words), PAD)]
    return {word: number for number, word in enumerate(words)}, []


def _encoder(vocabulary: dict, merges: list, added: list[str], version: str) -> tokenizers.Tokenizer:
    bytes(ENCODER_BYTES)  # raises MemoryError; the library would end the process
    encoder = tokenizers.Tokenizer(BPE(vocab=vocabulary, merges=merges))
    split = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    encoder.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    encoder.decoder = tokenizers.decoders.ByteLevel()
    # v2 keeps every full stop apart: it is split off before any merge and keeps its own id.
    stops = ["."] if version == "v2" else []
    encoder.add_special_tokens([AddedToken(t, normalized=False) for t in (*SPECIALS, *added, *stops)])
    return encoder


def _encode(encoder: tokenizers.Tokenizer, text: str) -> list[int]:
    if half := half_character(text):
        before = text[max(0, half.start() - SHOWN) : half.start()]
        raise ValueError(
            f"The text has {half_named(half[0])} behind {before!r}; delete it or type it anew."
        )
    return encoder.encode(composed(START + text)).ids
