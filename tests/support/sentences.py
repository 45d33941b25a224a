"""What an error says to its reader."""

from __future__ import annotations


def assert_one_sentence(text: str) -> None:
    """Fails unless `text` is for a reader: one sentence with nothing of a traceback in it."""
    assert text.strip().endswith(".")
    for trace in ("Traceback", 'File "', "\n", "Error:", ". "):
        assert trace not in text.strip(), text
