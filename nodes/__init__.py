"""The nodes: schemas and what they execute, one file a node or family, named after it; no tensor maths."""

from comfy_api.latest import ComfyExtension, io

from . import renamed, routes, sockets
from .batch import LeVoSongsFromJSONL
from .compose import LeVoCompose
from .conditioning import LeVoConditioning, LeVoDescription, LeVoLyrics
from .continue_song import LeVoContinueSong
from .download_models import LeVoDownloadModels
from .export import LeVoExport
from .finish_song import LeVoFinishSong
from .folded import folding
from .host import folders, memory, reporting
from .listen import LeVoListen
from .loaders import LeVoLoadLeLM, LeVoLoadRenderer, LeVoLoadSeparator, LeVoLoadStyleEncoder, LeVoLoadVAE
from .mix import LeVoMix
from .render import LeVoDecode, LeVoRender
from .save_checkpoint import LeVoSaveCheckpoint
from .save_song import LeVoSaveSong
from .search_words import findable
from .song import LeVoSong
from .split_vocals import LeVoSplitVocals
from .stems import LeVoDecodeStems, LeVoRenderStems
from .style_from_audio import LeVoStyleFromAudio
from .style_library import LeVoSaveStyle, LeVoStyleFromLibrary
from .system_check import LeVoSystemCheck
from .tokens import LeVoLoadTokens, LeVoSaveTokens


class LeVoExtension(ComfyExtension):
    """What ComfyUI registers."""

    async def on_load(self) -> None:
        await renamed.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        nodes = [
            LeVoLoadLeLM,
            LeVoLoadRenderer,
            LeVoLoadVAE,
            LeVoLoadSeparator,
            LeVoLoadStyleEncoder,
            LeVoSaveCheckpoint,
            LeVoDownloadModels,
            LeVoSystemCheck,
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
            LeVoExport,
            LeVoSong,
            LeVoListen,
            LeVoMix,
            LeVoSplitVocals,
        ]
        wrapped = (
            reporting.keeping(memory.explaining_out_of_ram(sockets.checking(node))) for node in nodes
        )
        return [findable(folding(node)) for node in wrapped]


def comfy_entrypoint() -> LeVoExtension:
    """Called by ComfyUI once the pack is imported."""
    folders.register()
    routes.register()
    return LeVoExtension()
