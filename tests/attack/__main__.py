"""`make attack`: runs all areas, each in a process of its own, and prints what came of them.

    python -m attack [area ...]

Areas are the modules beside this file that have a `main`. Not part of `make test`: it takes some minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from support.inside import TESTS
from support.pack import comfyui_dir

from attack.judge import FAULTS, OUTCOMES

AREAS = ("files", "text", "lists", "tokens", "numbers", "disk", "processes", "short_memory")
SHOWN = 12  # faults of an area
MINUTES = 20


def findings(area: str) -> dict[str, Any]:
    """What an area found; raises CalledProcessError if it did not come to an end."""
    paths = [str(comfyui_dir()), str(TESTS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"attack.{area}"]
    run = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60 * MINUTES,
        env=environment,
        cwd=TESTS,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def main(areas: list[str]) -> int:
    """Print a table and the faults; 1 if there are any."""
    rows = [findings(area) for area in areas or AREAS]
    print("| area | tried |", " | ".join(OUTCOMES), "| slowest | peak RSS |")
    print("|---" * (len(OUTCOMES) + 4) + "|")
    for row in rows:
        counts = [str(row["counts"].get(outcome, 0)) for outcome in OUTCOMES]
        tried, (seconds, name) = sum(row["counts"].values()), row["slowest"]
        print(f"| {row['area']} | {tried} |", " | ".join(counts), end=" ")
        print(f"| {seconds} s, {name} | {row['peak']} MB |")
    for row in rows:
        for fault in row["faults"][:SHOWN]:
            print(f"{row['area']}: {fault}")
        if len(row["faults"]) > SHOWN:
            print(f"{row['area']}: and {len(row['faults']) - SHOWN} more")
    return int(any(row["counts"].get(fault) for row in rows for fault in FAULTS))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
