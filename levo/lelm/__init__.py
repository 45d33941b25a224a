"""LeLM: lyrics and style to three parallel code streams at 25 Hz."""
