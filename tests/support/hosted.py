"""ComfyUI and the pack in this process: importing this module starts ComfyUI on the CPU, with the pack
as `levo_pack`, whose nodes `run` executes as ComfyUI does.

For scripts that run in a process of their own (support.inside), with ComfyUI's folder before `tests` on
PYTHONPATH.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

import comfy.options
import utils.install_util  # noqa: F401  # as in main.py: some package brings another `utils`

comfy.options.enable_args_parsing(False)
from comfy.cli_args import args  # noqa: E402

args.cpu = True

from comfy_api.internal import make_locked_method_func  # noqa: E402

from support import pack  # noqa: E402

package = pack.load_package(pack.ROOT, "levo_pack")


@cache
def nodes() -> dict[str, Any]:
    """The nodes as ComfyUI registers them, by their ids."""
    return {node.__name__: node for node in asyncio.run(package.nodes.LeVoExtension().get_node_list())}


def run(node: str, /, **inputs: Any) -> tuple[Any, ...]:
    """Execute a node as ComfyUI does, with the defaults of inputs that are not named; gives its outputs."""
    kind = nodes()[node]
    defaults = {each.id: each.default for each in kind.define_schema().inputs if hasattr(each, "default")}
    return run_locked(kind, **defaults | inputs).result


def run_locked(kind: Any, /, **inputs: Any) -> Any:
    """Execute the class of a node, of which ComfyUI makes a copy that nothing can be changed in."""
    copy = kind.PREPARE_CLASS_CLONE({})
    return make_locked_method_func(kind, "EXECUTE_NORMALIZED", copy)(**inputs)
