"""The models of SongGeneration 2 (LeVo 2): lyrics and style to codes, codes to latents, latents to sound.

Knows torch and nothing of ComfyUI.
"""
