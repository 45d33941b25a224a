"""Words that people type to find nodes, beside their names; knows no model and computes nothing."""

from __future__ import annotations

import functools

from comfy_api.latest import io

_MUSIC = ("music", "songgeneration", "tencent", "text to music")
_SEPARATION = ("separate", "demucs", "karaoke", "stems", "isolate vocals")
WORDS: dict[str, tuple[str, ...]] = {
    "LeVoSong": (*_MUSIC, "generate song", "singing"),
    "LeVoCompose": (*_MUSIC, "generate song", "singing"),
    "LeVoRender": (*_MUSIC, "generate audio"),
    "LeVoRenderStems": ("music", "karaoke", "instrumental", "backing track"),
    "LeVoDecodeStems": ("karaoke", "instrumental", "backing track"),
    "LeVoDownloadModels": (*_MUSIC, "huggingface", "install"),
    "LeVoLoadLeLM": ("music", "songgeneration", "tencent", "checkpoint"),
    "LeVoLyrics": ("words", "verse", "chorus", "singing"),
    "LeVoDescription": ("genre", "tags", "mood", "instruments", "prompt"),
    "LeVoConditioning": ("instrumental", "prompt"),
    "LeVoStyleFromLibrary": ("genre", "mood"),
    "LeVoStyleFromAudio": ("reference audio", "clone style", "cover"),
    "LeVoFinishSong": ("loudness", "lufs", "mastering", "fade out", "limiter", "trim silence"),
    "LeVoListen": ("player", "play", "preview", "waveform", "mixer", "fader"),
    "LeVoMix": ("mixer", "mixing", "blend audio", "volume", "gain", "karaoke", "merge stems"),
    "LeVoExport": ("save audio", "flac", "wav", "mp3", "opus", "stems zip", "cover art", "id3", "release"),
    "LeVoSplitVocals": (*_SEPARATION, "instrumental", "accompaniment"),
    "LeVoLoadSeparator": _SEPARATION,
    "LeVoContinueSong": ("extend", "outpaint", "longer"),
    "LeVoSongsFromJSONL": ("batch", "list"),
}


def findable(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The same node, whose schema names these words; 0.3.75 has no such field and searches without."""
    define = node.define_schema.__func__

    @functools.wraps(define)
    def with_words(cls: type[io.ComfyNode]) -> io.Schema:
        schema = define(cls)
        if "search_aliases" in io.Schema.__dataclass_fields__:
            schema.search_aliases = [*WORDS.get(schema.node_id, ())]
        return schema

    node.define_schema = classmethod(with_words)
    return node
