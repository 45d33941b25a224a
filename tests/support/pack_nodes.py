"""The nodes that the pack has, and how ComfyUI describes what goes into one."""

from __future__ import annotations

from typing import Any

NODES = [
    "LeVoLoadLeLM",
    "LeVoLoadRenderer",
    "LeVoLoadVAE",
    "LeVoLoadSeparator",
    "LeVoLoadStyleEncoder",
    "LeVoSaveCheckpoint",
    "LeVoDownloadModels",
    "LeVoSystemCheck",
    "LeVoLyrics",
    "LeVoDescription",
    "LeVoStyleFromLibrary",
    "LeVoSaveStyle",
    "LeVoStyleFromAudio",
    "LeVoConditioning",
    "LeVoCompose",
    "LeVoSaveTokens",
    "LeVoLoadTokens",
    "LeVoContinueSong",
    "LeVoSongsFromJSONL",
    "LeVoSaveSong",
    "LeVoRender",
    "LeVoDecode",
    "LeVoRenderStems",
    "LeVoDecodeStems",
    "LeVoFinishSong",
    "LeVoExport",
    "LeVoSong",
    "LeVoListen",
    "LeVoMix",
    "LeVoSplitVocals",
]


def inputs_of(node: dict[str, Any]) -> dict[str, list[Any]]:
    return {
        name: spec
        for group in ("required", "optional")
        for name, spec in node["input"].get(group, {}).items()
    }
