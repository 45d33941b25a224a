"""The models of SongGeneration 2 (LeVo 2): lyrics and style to codes, codes to latents, latents to sound.

Knows torch and nothing of ComfyUI.
"""

VERSION = "0.1.0"  # of the pack, as in pyproject.toml
