"""The renderer: two code streams to 64-channel latents by flow matching."""
