"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support import pack

LIBRARY, NODES = pack.ROOT / "levo", pack.ROOT / "nodes"
FOREIGN_TO_LIBRARY = ("comfy", "nodes", "folder_paths", "server", "execution", "latent_preview", "main")
FOR_HOST_ONLY = ("comfy", "comfy_aimdo", "comfy_kitchen")
OPTIONAL = ("transformers", "demucs", "demucs_infer", "huggingface_hub", "flash_attn", "gguf")
OPTIONAL += ("ray", "soundfile", "tqdm")
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 40
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def sources(*folders: Path) -> list[Path]:
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [path for path in files if pack.ROOT / "tests" / "golden" not in path.parents]


PACK = [*sources(LIBRARY, NODES), pack.ROOT / "__init__.py"]
EVERYTHING = [*PACK, *sources(pack.ROOT / "tests")]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def at(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(pack.ROOT)}:{node.lineno}"


def imported(node: ast.AST) -> list[str]:
    """Names of the modules that an import statement asks for; relative ones begin with dots."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def belongs(module: str, packages: tuple[str, ...]) -> bool:
    top = module.partition(".")[0]
    return top in packages or ("comfy" in packages and top.startswith("comfy"))


def leaves_library(path: Path, module: str) -> bool:
    """Whether a relative import climbs out of levo/."""
    dots = len(module) - len(module.lstrip("."))
    return dots > len(path.relative_to(LIBRARY).parts)


def breaches_of_library(path: Path, tree: ast.Module) -> list[str]:
    return [
        f"{at(path, node)} imports {module}"
        for node in ast.walk(tree)
        for module in imported(node)
        if belongs(module, FOREIGN_TO_LIBRARY) or leaves_library(path, module)
    ]


def breaches_of_nodes(path: Path, tree: ast.Module) -> list[str]:
    return [
        f"{at(path, node)} imports {module}"
        for node in ast.walk(tree)
        for module in imported(node)
        if module.partition(".")[0] in FOR_HOST_ONLY
    ]


def unsafe(path: Path, tree: ast.Module) -> list[str]:
    """Edits of sys.path, and calls of eval, exec and print."""
    found = []
    for node in ast.walk(tree):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if called in ("eval", "exec", "compile", "__import__", "print"):
            found.append(f"{at(path, node)} calls {called}")
        if isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node.value) == "sys":
            found.append(f"{at(path, node)} touches sys.path")
        if isinstance(node, ast.ImportFrom) and node.module == "sys":
            found.append(f"{at(path, node)} imports from sys")
    return found


def at_import_time(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements that run when a module is imported: all but the bodies of functions."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, FUNCTIONS):
            yield node
            yield from at_import_time(node)


def heavy(path: Path, tree: ast.Module) -> list[str]:
    return [
        f"{at(path, node)} imports {module}"
        for node in at_import_time(tree)
        for module in imported(node)
        if belongs(module, OPTIONAL)
    ]


def imports_tests(path: Path, tree: ast.Module) -> list[str]:
    """Imports of test modules: what tests share belongs in tests/support."""
    found = []
    for node in ast.walk(tree):
        names = imported(node)
        if isinstance(node, ast.ImportFrom):
            names = [f"{module}.{alias.name}" for module in names for alias in node.names]
        modules = [name for name in names if any(part.startswith("test_") for part in name.split("."))]
        found += [f"{at(path, node)} imports {name}" for name in modules]
    return found


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def docstring(function: ast.FunctionDef) -> int:
    """Lines of a function's docstring."""
    first = function.body[0]
    return first.end_lineno - first.lineno + 1 if ast.get_docstring(function) else 0


def long_functions(path: Path, tree: ast.Module) -> list[str]:
    """Functions over the limit; docstrings may be as long as they need to be."""
    lengths = [(n, n.end_lineno - n.lineno + 1 - docstring(n)) for n in functions(tree)]
    return [
        f"{at(path, n)} {n.name}: {lines} lines"
        for n, lines in lengths
        if lines >= MOST_LINES_OF_A_FUNCTION
    ]


def all_of(check, paths: list[Path]) -> list[str]:
    return [breach for path in paths for breach in check(path, parsed(path))]


def test_there_is_something_to_check():
    assert {"loading.py", "compose.py", "memory.py"} <= {path.name for path in PACK}


def test_the_library_knows_nothing_of_comfyui_or_the_nodes():
    assert all_of(breaches_of_library, sources(LIBRARY)) == []


def test_of_the_nodes_only_host_knows_the_insides_of_comfyui():
    host = sources(NODES / "host")
    assert all_of(breaches_of_nodes, [path for path in sources(NODES) if path not in host]) == []
    assert all_of(breaches_of_nodes, host)


def test_nothing_edits_the_path_runs_text_or_prints():
    assert all_of(unsafe, PACK) == []


def test_heavy_optional_packages_are_imported_only_when_needed():
    assert all_of(heavy, PACK) == []


def test_no_test_module_imports_another():
    assert all_of(imports_tests, sources(pack.ROOT / "tests")) == []


def test_files_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in EVERYTHING}
    long = [f"{path.relative_to(pack.ROOT)}: {n} lines" for path, n in lengths.items() if n >= MOST_LINES]
    assert long == []


def test_functions_are_short():
    assert all_of(long_functions, EVERYTHING) == []


def test_names_of_test_files_are_unique():
    shared = ("conftest.py", "__init__.py")  # of pytest, and of packs that tests give to ComfyUI
    names = [path.name for path in sources(pack.ROOT / "tests") if path.name not in shared]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (breaches_of_library, "def f():\n    import comfy.utils"),
        (breaches_of_library, "from comfy_api.latest import io"),
        (breaches_of_library, "from nodes import NODES"),
        (breaches_of_library, "from ...nodes import sockets"),
        (unsafe, "import sys\nsys.path.insert(0, 'x')"),
        (unsafe, "from sys import path"),
        (unsafe, "print('x')"),
        (unsafe, "f = eval('x')"),
        (heavy, "try:\n    import transformers\nexcept ImportError:\n    pass"),
        (heavy, "class A:\n    from demucs.api import Separator"),
        (imports_tests, "from test_compose import asked"),
        (imports_tests, "import unit.test_compose"),
        (imports_tests, "def f():\n    from unit import test_compose as compose"),
        (long_functions, "def f():\n" + "    x = 1\n" * 39),
    ],
)
def test_each_check_sees_a_breach(check, text):
    assert check(LIBRARY / "text" / "lyrics.py", ast.parse(text))


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (breaches_of_library, "from ..config import CODES\nfrom .. import config\nimport commonmark"),
        (unsafe, "model.eval()\nimport sys\nsys.stderr.flush()\nimport os\nos.path.join('a')"),
        (heavy, "def f():\n    import transformers"),
        (imports_tests, "from support import scripted_models\nfrom unittest import mock\nimport pytest"),
        (long_functions, "def f():\n" + "    x = 1\n" * 38),
    ],
)
def test_no_check_sees_a_breach_where_there_is_none(check, text):
    assert check(LIBRARY / "text" / "lyrics.py", ast.parse(text)) == []
