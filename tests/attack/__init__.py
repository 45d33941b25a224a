"""An attack campaign on the pack: odd files, texts, lists, numbers, full disks, kills. See __main__.py."""
