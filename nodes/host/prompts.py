"""What a queued graph says of itself: ComfyUI's prompt, in the form of its API."""

from __future__ import annotations

import json
from typing import Any

from comfy.cli_args import args
from comfy_api.latest import io

Prompt = dict[str, dict[str, Any]]


def is_connection(value: object) -> bool:
    """Whether an input is the output of a node: its id, and the output's number."""
    return isinstance(value, list) and len(value) == 2 and type(value[1]) is int


def upstream(prompt: Prompt, node: str) -> Prompt:
    """A node and all that its result comes from, each with the inputs that are no connections."""
    nodes: Prompt = {}
    waiting = [node]
    while waiting:
        name = waiting.pop()
        if name in nodes or name not in prompt:
            continue
        inputs = prompt[name].get("inputs", {})
        constants = {key: value for key, value in inputs.items() if not is_connection(value)}
        nodes[name] = {"class_type": prompt[name].get("class_type"), "inputs": constants}
        waiting += [str(value[0]) for value in inputs.values() if is_connection(value)]
    return nodes


def fed_by(prompt: Prompt, node: str, output: int) -> list[tuple[dict[str, Any], str]]:
    """Nodes that an output goes to, and by which input."""
    return [
        (other, name)
        for other in prompt.values()
        for name, value in other.get("inputs", {}).items()
        if is_connection(value) and (str(value[0]), value[1]) == (node, output)
    ]


def embedded(node: type[io.ComfyNode]) -> dict[str, str]:
    """What core's own nodes write of a graph into the files that they save, by its names there.

    Args:
        node: that asks for its hidden `prompt` and `extra_pnginfo`.
    """
    if args.disable_metadata:
        return {}
    graphs = {"prompt": node.hidden.prompt, **(node.hidden.extra_pnginfo or {})}
    return {name: json.dumps(value) for name, value in graphs.items() if value is not None}
