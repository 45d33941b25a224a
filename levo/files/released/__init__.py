"""Released tensor names to ours: the only package that knows them."""

from .gguf import DIALECTS as GGUF_DIALECTS
from .gguf import gguf_layout
from .htdemucs import separator_config, separator_layout
from .layout import Layout, Source
from .lelm import lelm_layout
from .loading import check, kind_of, load, plain_name, style_rows
from .mlx import STYLE_TABLE as MLX_STYLE_TABLE
from .mlx import is_mlx, mlx_layout
from .renderer import renderer_layout
from .style_encoder import style_encoder_layout
from .vae import vae_layout

__all__ = [
    "GGUF_DIALECTS",
    "MLX_STYLE_TABLE",
    "Layout",
    "Source",
    "check",
    "gguf_layout",
    "is_mlx",
    "kind_of",
    "lelm_layout",
    "load",
    "mlx_layout",
    "plain_name",
    "renderer_layout",
    "separator_config",
    "separator_layout",
    "style_encoder_layout",
    "style_rows",
    "vae_layout",
]
