"""Nodes that were called otherwise once: ComfyUI 0.14 and newer run and open old workflows with new ones.

An id is a promise to saved workflows, so that none should ever have to stand here. Whoever renames one all
the same adds it to RENAMED; older ComfyUIs show it as missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from comfy_api.latest import ComfyAPI, io


@dataclass(frozen=True)
class Renamed:
    """What became of a node.

    Attributes:
        old: its id once.
        new: its id now.
        inputs: old and new names of those that a run needs; others are dropped.
        widgets: old names of those that are set on the node, in the order of saved values.
        outputs: old and new numbers of those that moved.
    """

    old: str
    new: str
    inputs: tuple[tuple[str, str], ...]
    widgets: tuple[str, ...] = ()
    outputs: tuple[tuple[int, int], ...] = ()


RENAMED: tuple[Renamed, ...] = ()


async def register(nodes: Iterable[Renamed] = RENAMED) -> None:
    """Tell ComfyUI, where it wants to know."""
    if not hasattr(io, "NodeReplace"):
        return
    for node in nodes:
        replacement = io.NodeReplace(
            new_node_id=node.new,
            old_node_id=node.old,
            old_widget_ids=list(node.widgets),
            input_mapping=[{"new_id": new, "old_id": old} for old, new in node.inputs],
            output_mapping=[{"new_idx": new, "old_idx": old} for old, new in node.outputs],
        )
        await ComfyAPI().node_replacement.register(replacement)
