"""Turns a workflow as ComfyUI's editor saves it (version 0.4) into the API format that POST /prompt takes.

Follows graphToPrompt and the widget order of frontend 1.32.9 for plain graphs and refuses everything else.
It is stricter than the editor in one way: the saved widget values must fit the node's schema, so that an
outdated example fails here rather than run with shifted values.
"""

from __future__ import annotations

from typing import Any

NOTES = {"MarkdownNote", "Note"}
UNSUPPORTED = {"PrimitiveNode", "Reroute"}
WIDGET_TYPES = {"BOOLEAN", "COMBO", "FLOAT", "INT", "STRING"}
SEED_NAMES = {"noise_seed", "seed"}
MUTED = 2
BYPASSED = 4
# Players and upload buttons: widgets the editor adds behind those of the schema.
EDITOR_VALUES = (None, "", "image")


class WorkflowError(ValueError):
    """The workflow uses something that cannot be converted, or does not fit the nodes' schemas."""


def to_prompt(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, Any]:
    """Convert a saved workflow with the schemas of GET /object_info; raises WorkflowError."""
    if workflow.get("definitions", {}).get("subgraphs"):
        raise WorkflowError(
            "The workflow contains subgraphs, which cannot be converted; unpack them and save it."
        )
    nodes = [node for node in workflow["nodes"] if _runs(node)]
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    kept = {str(node["id"]) for node in nodes}
    return {str(node["id"]): _convert(node, object_info, sources, kept) for node in nodes}


def _runs(node: dict[str, Any]) -> bool:
    if node["type"] in NOTES or node.get("mode") == MUTED:
        return False
    if node.get("mode") == BYPASSED:
        raise WorkflowError(f"{_label(node)} is bypassed, which cannot be converted; mute or delete it.")
    if node["type"] in UNSUPPORTED:
        raise WorkflowError(f"{_label(node)} cannot be converted; connect the nodes directly.")
    return True


def _convert(
    node: dict[str, Any], object_info: dict[str, Any], sources: dict[int, list[Any]], kept: set[str]
) -> dict[str, Any]:
    schema = object_info.get(node["type"])
    if schema is None:
        raise WorkflowError(f"{_label(node)} is unknown to the server; install the pack that has it.")
    inputs = _widget_inputs(node, schema)
    for slot in node.get("inputs", []):
        if slot.get("link") is None:
            continue
        source = sources.get(slot["link"])
        if source is None:
            raise WorkflowError(
                f"{_label(node)} names link {slot['link']}, which is missing; save the workflow again."
            )
        if source[0] in kept:
            inputs[slot["name"]] = source
        else:
            inputs.pop(slot["name"], None)
    title = node.get("title") or schema.get("display_name") or node["type"]
    return {"inputs": inputs, "class_type": node["type"], "_meta": {"title": title}}


def _widget_inputs(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The widget values by input name; a widget with a link still has its own value in the list."""
    names = _widget_names(schema)
    values = node.get("widgets_values") or []
    if not isinstance(values, list):
        raise WorkflowError(f"{_label(node)} saves its widget values by name, which cannot be converted.")
    if len(values) < len(names) or any(value not in EDITOR_VALUES for value in values[len(names) :]):
        raise WorkflowError(
            f"{_label(node)} saves {len(values)} widget values where its schema has {len(names)} "
            f"({', '.join(name or 'control' for name in names)}); load it in ComfyUI and save it again."
        )
    pairs = zip(names, values, strict=False)
    return {name: _wrapped(value) for name, value in pairs if name is not None}


def _widget_names(schema: dict[str, Any]) -> list[str | None]:
    """The widgets in the editor's order: an input's name, or None for the control of a seed or choice."""
    names: list[str | None] = []
    for group in ("required", "optional"):
        specifications = schema["input"].get(group, {})
        for name in schema.get("input_order", {}).get(group, specifications):
            kind, options = _kind(specifications[name])
            if kind not in WIDGET_TYPES or options.get("forceInput"):
                continue
            names.append(name)
            names += [None] * _control_widgets(name, kind, options)
    return names


def _kind(specification: list[Any]) -> tuple[str, dict[str, Any]]:
    options = specification[1] if len(specification) > 1 else {}
    kind = options.get("widgetType") or specification[0]
    return ("COMBO" if isinstance(kind, list) else kind), options


def _control_widgets(name: str, kind: str, options: dict[str, Any]) -> int:
    """A controlled number has one widget more; a controlled choice two, as it also has a filter."""
    control = options.get("control_after_generate")
    if kind == "INT":
        return int(name in SEED_NAMES if control is None else bool(control))
    return 2 if kind == "COMBO" and control else 0


def _wrapped(value: Any) -> Any:
    """A list is wrapped, as the server would take a plain one for a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _label(node: dict[str, Any]) -> str:
    return f"Node {node['id']} ({node['type']})"
