"""Trains the demo models, on a CPU: `python tests/demo_models/train.py FOLDER [STAGE ...]`.

Every stage goes on from where it stopped, and begins with what the stages before it left in FOLDER.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from demo_models import (  # noqa: E402
    export,
    lelm_stage,
    renderer_training,
    sizes,
    training_loop,
    vae_stages,
    vae_training,
)
from demo_models.data import Songs  # noqa: E402
from demo_models.lelm_training import Examples, SmallLeLM  # noqa: E402
from demo_models.renderer_training import SmallRenderer  # noqa: E402
from levo import demo  # noqa: E402
from levo.kinds import Kind  # noqa: E402
from levo.vae.oobleck import Vae  # noqa: E402

TRAINING_SEED, TRAINING_SONGS = 10_000, 1_000
STEPS = {"shell": 600, "heart": 3_000, "whole": 3_000, "encoder": 800, "renderer": 9_000, "lelm": 10_800}
SEEN_SONGS = 3_000  # whose codes the files hold rows for
MOST_FRAMES = 1_200  # of a song that LeLM is taught


def train_vae(folder: Path, stage: str) -> None:
    torch.manual_seed(0)
    vae, latents = Vae(sizes.VAE), vae_training.Latents()
    vae_training.begin(vae)
    songs = Songs(TRAINING_SEED, TRAINING_SONGS)
    for earlier in ("shell", "heart", "whole"):
        if earlier == stage:
            break
        training_loop.load(folder, earlier, {"vae": vae, "latents": latents})
    steps = STEPS[stage]
    if stage == "shell":
        training_loop.run(vae_stages.shell(vae, songs, steps), folder)
    else:
        training_loop.run(getattr(vae_stages, stage)(vae, latents, songs, steps), folder)


def train_lelm(folder: Path) -> None:
    torch.manual_seed(0)
    model = SmallLeLM(sizes.LELM)
    training_loop.run(
        lelm_stage.lelm(model, Examples(sizes.LELM, TRAINING_SEED, MOST_FRAMES), STEPS["lelm"]), folder
    )


def train_renderer(folder: Path) -> None:
    torch.manual_seed(0)
    model, latents = SmallRenderer(sizes.RENDERER), vae_training.Latents()
    training_loop.load(folder, "heart", {"latents": latents})
    songs = Songs(TRAINING_SEED, TRAINING_SONGS)
    training_loop.run(renderer_training.renderer(model, latents, songs, STEPS["renderer"]), folder)


def write_files(folder: Path) -> None:
    """The three files of levo/demo, of what is trained so far."""
    vae, lelm, renderer = Vae(sizes.VAE), SmallLeLM(sizes.LELM), SmallRenderer(sizes.RENDERER)
    for stage in ("shell", "heart", "whole", "encoder"):
        if (folder / f"{stage}.pt").is_file():
            training_loop.load(folder, stage, {"vae": vae})
    training_loop.load(folder, "lelm", {"lelm": lelm})
    training_loop.load(folder, "renderer", {"renderer": renderer})
    seen = Songs(TRAINING_SEED, SEEN_SONGS).seen()
    in_lelm = {f"{table}.{k}.weight": seen[k] for table in ("codes", "heads") for k in range(3)}
    in_renderer = {"vocal.codebook.weight": seen[1], "accompaniment.codebook.weight": seen[2]}
    for kind, config, (tensors, rows) in (
        (Kind.LELM, sizes.LELM, export.smaller(*export.lelm_tensors(lelm), in_lelm)),
        (Kind.RENDERER, sizes.RENDERER, export.smaller(*export.renderer_tensors(renderer), in_renderer)),
        (Kind.VAE, sizes.VAE, export.vae_tensors(vae)),
    ):
        path = demo.path(kind)
        assert path is not None
        export.write(path, kind, config, tensors, rows)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def main(arguments: list[str]) -> None:
    folder, stages = Path(arguments[0]), arguments[1:] or [*STEPS, "files"]
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for stage in stages:
        if stage == "lelm":
            train_lelm(folder)
        elif stage == "renderer":
            train_renderer(folder)
        elif stage == "files":
            write_files(folder)
        else:
            train_vae(folder, stage)


if __name__ == "__main__":
    main(sys.argv[1:])
