"""The autoencoder between latents and 48 kHz stereo."""
