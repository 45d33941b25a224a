"""Which inputs newer ComfyUIs fold away until somebody asks for them: what a newcomer does not need.

They keep their values, places and connections; ComfyUIs without folding show them. So does the canvas of
frontends 1.49 and 1.58, which leaves folding to Nodes 2.0: what a script marks there (`widget.advanced`)
is hidden, but the inputs below keep their places, and lie outside of the node.
"""

from __future__ import annotations

from comfy_api.latest import io

SAMPLING = ("temperature", "top_k", "top_p", "repetition_window")
RUNNING = ("cuda_graph", "attention", "compile", "cache", "verify")
DOWNLOADS = ("renderer_gguf", "vae_gguf", "source")
FOLDED = frozenset((*SAMPLING, *RUNNING, *DOWNLOADS))


def folding(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The same node, whose schema says which inputs to fold, where ComfyUI knows of it."""
    define = node.define_schema.__func__

    def folds(cls: type[io.ComfyNode]) -> io.Schema:
        schema = define(cls)
        for each in schema.inputs:
            if each.id in FOLDED and hasattr(each, "advanced"):  # ComfyUI 0.3.75 has none
                each.advanced = True
        return schema

    node.define_schema = classmethod(folds)
    return node
