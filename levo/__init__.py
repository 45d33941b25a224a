"""SongGeneration 2 (LeVo 2): texts, models, songs, files and lists of songs; see ARCHITECTURE.md.

Knows torch and nothing of ComfyUI.
"""

VERSION = "0.1.0"  # of the pack, as in pyproject.toml
