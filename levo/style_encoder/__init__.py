"""The style encoder: ten seconds of sound to the codes that LeLM is prompted with."""
