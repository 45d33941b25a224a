"""A composed song to sound, and what is kept of it."""
