"""Words in and out of the model: lyrics, style tags and their tokens."""
