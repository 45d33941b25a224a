"""The house is as ARCHITECTURE.md draws it: rooms import from rooms below, and what pages name is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support import pack

LIBRARY = pack.ROOT / "levo"
# From the ground up: a room may import from those of earlier rows. `files.catalogue` is data.
ROOMS = (
    ("", "config", "progress", "files.catalogue"),
    ("text", "layers", "audio"),
    ("tiny", "lelm", "renderer", "vae", "separator", "style_encoder"),
    ("kinds", "memory"),
    ("demo",),
    ("files",),
    ("song",),
    ("batch",),
    ("command",),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
PATH = re.compile(r"(?<![\w/.])(?:levo|nodes|tests|web)/[\w./]*\w")
SHORT = re.compile(r"(?<![\w/.-])(?!\.|Node\.js)[\w/]*\w\.(?:py|js|mjs|sh)\b")  # a path, or how it ends
NAMED = re.compile(r"(\w[\w/]*\.(?:py|js)) \(`([\w`, ]+)`\)")  # a file (`name`, `name`)
NAMED_BEFORE = re.compile(r"`(\w+)` \((\w[\w/]*\.(?:py|js))\)")  # `name` (a file)
FILES = [
    path
    for room in ("levo", "nodes", "tests", "web")
    for path in sorted((pack.ROOT / room).rglob("*.*"))
    if path.suffix in (".py", ".js", ".mjs", ".sh")
] + [pack.ROOT / "__init__.py"]
MODULES = [path for path in sorted(LIBRARY.rglob("*.py")) if path != LIBRARY / "__init__.py"]


def ends_in(name: str) -> list[Path]:
    """Files of the pack whose path ends in a name."""
    return [path for path in FILES if path.as_posix().endswith(f"/{name}")]


def is_module(name: list[str]) -> bool:
    path = LIBRARY.joinpath(*name)
    return path.is_dir() or path.with_suffix(".py").is_file()


def room_of(name: list[str]) -> str:
    """The room of a module of levo, by the parts of its name without `levo`; "" is levo itself."""
    if not name or not is_module(name[:1]):
        return ""
    return ".".join(name) if ".".join(name) in FLOOR else name[0]


def imported(source: str, package: list[str]) -> list[list[str]]:
    """Modules of levo that a module in a package imports, by the parts of their names."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (
                node.module.split(".") if node.module else []
            )
            names = [[*base, alias.name] for alias in node.names]
            found += [name if is_module(name) else base for name in names]
    return found


def upward(source: str, module: list[str], package: list[str]) -> list[str]:
    """What a module imports of rooms that do not lie below its own."""
    room = room_of(module)
    others = {".".join(name): room_of(name) for name in imported(source, package)}
    return [name for name, theirs in others.items() if theirs != room and FLOOR[theirs] >= FLOOR[room]]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_a_room_imports_from_rooms_below_it(path: Path):
    package = list(path.parent.relative_to(LIBRARY).parts)
    module = package if path.stem == "__init__" else [*package, path.stem]
    assert upward(path.read_text("utf-8"), module, package) == []


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from ..song.render import seeded_noise", "lelm.model"),
        ("from .. import tiny", "text.lyrics"),
        ("from ..renderer.windows import Windows", "style_encoder.encode"),
        ("def f():\n    from ...batch import results", "files.released.lelm"),
    ],
)
def test_an_arrow_upward_is_seen(source: str, module: str):
    *package, name = module.split(".")
    assert upward(source, [*package, name], package)


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "tests/bench/RESULTS.md"])
def test_what_a_page_names_is_there(page: str):
    named = PATH.findall((pack.ROOT / page).read_text("utf-8"))
    assert len(named) > 5
    assert [path for path in named if not (pack.ROOT / path).exists()] == []


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_a_file_that_a_page_names_in_short_is_there_and_has_what_is_named_beside_it(page: str):
    text = (pack.ROOT / page).read_text("utf-8")
    assert [name for name in SHORT.findall(text) if not ends_in(name)] == []
    beside = [(file, name) for file, names in NAMED.findall(text) for name in names.split("`, `")]
    beside += [(file, name) for name, file in NAMED_BEFORE.findall(text)]
    assert page != "ARCHITECTURE.md" or len(beside) > 10
    missing = [
        (file, name)
        for file, name in beside
        if not any(re.search(rf"\b{name}\b", path.read_text("utf-8")) for path in ends_in(file))
    ]
    assert missing == []


def test_what_is_said_twice_of_versions_and_files_is_the_same():
    def text(name: str) -> str:
        return (pack.ROOT / name).read_text("utf-8")

    (ruff,) = re.findall(r"ruff-pre-commit\n +rev: v([\d.]+)", text(".pre-commit-config.yaml"))
    assert f"\nruff=={ruff}\n" in text("tests/requirements.txt")
    (packages,) = re.findall(r"^dependencies = \[(.*)\]$", text("pyproject.toml"), re.MULTILINE)
    required = [line for line in text("requirements.txt").splitlines() if not line.startswith("#")]
    assert [name.strip('"') for name in packages.split(", ")] == required
    ignored = [line for line in text(".comfyignore").splitlines() if not line.startswith("#")]
    assert [pattern for pattern in ignored if not list(pack.ROOT.glob(pattern.rstrip("/")))] == []


def test_one_script_alone_knows_the_frontend_of_comfyui():
    scripts = {path.name: path.read_text("utf-8") for path in (pack.ROOT / "web" / "js").glob("*.js")}
    deprecated = re.compile(r"\.inputEl\b|\binput\.link\b")
    frontend = re.compile(r"scripts/(?:app|api)\.js|\bLiteGraph\b|\bapp\.")
    assert [name for name, text in scripts.items() if deprecated.search(text)] == []
    assert [name for name, text in scripts.items() if frontend.search(text)] == ["comfy.js"]
