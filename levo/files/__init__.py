"""Files on the disk: what they hold, where they come from, and how damage is told."""
