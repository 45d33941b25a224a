"""The nodes: thin, one file a stage, no tensor maths."""

from comfy_api.latest import ComfyExtension, io

from . import files, routes
from .batch import LeVoSaveSong, LeVoSongsFromJSONL
from .composing import LeVoCompose
from .conditioning import LeVoConditioning, LeVoDescription, LeVoLyrics
from .continuing import LeVoContinueSong
from .downloading import LeVoDownloadModels
from .encoding import LeVoLoadStyleEncoder, LeVoStyleFromAudio
from .finishing import LeVoFinishSong
from .library import LeVoSaveStyle, LeVoStyleFromLibrary
from .listening import LeVoListen
from .loaders import LeVoLoadLeLM, LeVoLoadRenderer, LeVoLoadSeparator, LeVoLoadVAE
from .rendering import LeVoDecode, LeVoRender
from .saving import LeVoSaveCheckpoint
from .separating import LeVoSplitVocals
from .singing import LeVoSong
from .stems import LeVoDecodeStems, LeVoRenderStems
from .tokens import LeVoLoadTokens, LeVoSaveTokens


class LeVoExtension(ComfyExtension):
    """What ComfyUI registers."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LeVoLoadLeLM,
            LeVoLoadRenderer,
            LeVoLoadVAE,
            LeVoLoadSeparator,
            LeVoLoadStyleEncoder,
            LeVoSaveCheckpoint,
            LeVoDownloadModels,
            LeVoLyrics,
            LeVoDescription,
            LeVoStyleFromLibrary,
            LeVoSaveStyle,
            LeVoStyleFromAudio,
            LeVoConditioning,
            LeVoCompose,
            LeVoSaveTokens,
            LeVoLoadTokens,
            LeVoContinueSong,
            LeVoSongsFromJSONL,
            LeVoSaveSong,
            LeVoRender,
            LeVoDecode,
            LeVoRenderStems,
            LeVoDecodeStems,
            LeVoFinishSong,
            LeVoSong,
            LeVoListen,
            LeVoSplitVocals,
        ]


def comfy_entrypoint() -> LeVoExtension:
    """Called by ComfyUI once the pack is imported."""
    files.register()
    routes.register()
    return LeVoExtension()
