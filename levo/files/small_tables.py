"""Tables of which only the rows in use are stored: all other rows are the last one of the file.

Metadata `levo.rows` is JSON: the name of each such table, and its rows in use in order as pairs of the
first and one past the last. Files without it hold whole tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from . import plain_data

KEY = "levo.rows"
Ranges = tuple[tuple[int, int], ...]


def ranges_in(metadata: Mapping[str, str]) -> dict[str, Ranges]:
    """Rows in use of each table that is stored in part.

    Raises:
        ValueError: it says something else.
    """
    if KEY not in metadata:
        return {}
    entries = plain_data.from_json(metadata[KEY])
    if not isinstance(entries, dict):
        raise ValueError("rows in use are no table")
    return {name: _ranges(pairs) for name, pairs in entries.items()}


def _ranges(pairs: object) -> Ranges:
    if not isinstance(pairs, list):
        raise ValueError("rows in use are no list")
    ranges, end = [], 0
    for pair in pairs:
        match pair:
            case [int(first), int(stop)] if end <= first < stop:
                ranges.append((first, stop))
                end = stop
            case _:
                raise ValueError("rows in use are not in order")
    return tuple(ranges)


def expand(ranges: Ranges, rows: int, stored: Tensor) -> Tensor:
    """The whole table.

    Args:
        ranges: rows in use.
        rows: of the whole table.
        stored: [rows in use + 1, width].

    Returns:
        [rows, width].

    Raises:
        RuntimeError: they do not go together.
    """
    used = sum(stop - first for first, stop in ranges)
    if len(stored) != used + 1 or (ranges and ranges[-1][1] > rows):
        raise RuntimeError(f"{len(stored)} stored rows do not make a table of {rows}")
    table = stored[-1:].repeat(rows, 1)
    pieces = stored[:-1].split([stop - first for first, stop in ranges])
    for (first, stop), piece in zip(ranges, pieces, strict=True):
        table[first:stop] = piece
    return table
