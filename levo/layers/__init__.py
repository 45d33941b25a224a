"""What models are built of: attention, matrices in small number formats, and their weights."""
