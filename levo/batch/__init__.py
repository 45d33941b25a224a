"""Lists of songs, and what became of them."""
