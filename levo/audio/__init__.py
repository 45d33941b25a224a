"""Sound: rates, loudness, a good ending and level."""
