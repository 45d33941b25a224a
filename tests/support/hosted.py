"""ComfyUI and the pack in this process: importing this module starts ComfyUI on the CPU, with the pack
as `levo_pack`.

For scripts that run in a process of their own (support.inside), with ComfyUI's folder before `tests` on
PYTHONPATH.
"""

from __future__ import annotations

import comfy.options
import utils.install_util  # noqa: F401  # as in main.py: some package brings another `utils`

comfy.options.enable_args_parsing(False)
from comfy.cli_args import args  # noqa: E402

args.cpu = True

from support import pack  # noqa: E402

pack.load_package(pack.ROOT, "levo_pack")
