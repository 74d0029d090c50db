"""Retrain the shipped models: ``python data/pretrained/retrain.py [NAME ...]`` (``make weights``).

Each is trained by the command of its recipe, measured, and written with its card. The judges
are retrained only if they are named, because another judge would change figures of the course.
"""

import argparse
import tempfile
from pathlib import Path

from gen_course.ch05_cyclegan.explorers import MIXED
from gen_lib import cli, experiment
from gen_lib.data.text import TEXT_SETS
from gen_lib.files import sha256
from gen_lib.models.base import Model
from gen_lib.training.checkpoints import RUN_FILE, load, pretrained_folder, read_card, save

RECIPES = {
    "judge": "judge --data fashion_mnist --steps 12000 --seed 0",
    "deep-ae": "deep-ae --data fashion_mnist --steps 12000 --seed 0",
    "deep-ae-2d": "deep-ae --data fashion_mnist --steps 8000 --seed 0 --set latent_size=2",
    "sparse-0.1": "sparse --data fashion_mnist --steps 4000 --seed 0 --set sparsity=0.1",
    "sparse-0.3": "sparse --data fashion_mnist --steps 4000 --seed 0 --set sparsity=0.3",
    "sparse-1": "sparse --data fashion_mnist --steps 4000 --seed 0 --set sparsity=1",
    "sparse-3": "sparse --data fashion_mnist --steps 4000 --seed 0 --set sparsity=3",
    "denoising": "denoising --data fashion_mnist --steps 4000 --seed 0",
    "masked": "masked --data fashion_mnist --steps 12000 --seed 0",
    "gan-300": "gan --data fashion_mnist --steps 300 --seed 0",
    "gan-1000": "gan --data fashion_mnist --steps 1000 --seed 0",
    "gan": "gan --data fashion_mnist --steps 5000 --seed 0",
    "conv-ae": "conv-ae --data fashion_mnist --steps 4000 --seed 0",
    "conv-ae-2d": "conv-ae --data fashion_mnist --steps 1500 --seed 0 --set latent_size=2 "
    "--set width=16 --set hidden=64",
    "vae-2d": "vae --data fashion_mnist --steps 1500 --seed 0 --set latent_size=2 "
    "--set width=16 --set hidden=64 --set warm_up=0 --set weight_decay=0",
    "vae": "vae --data fashion_mnist --steps 16000 --seed 0 --set width=32 --set weight_decay=0.1",
}
RECIPES |= {
    "style-judge": "judge --data emoji --steps 700 --batch-size 64 --seed 0 --set background=1",
    "cyclegan-half": "cyclegan --data seasons --steps 800 --seed 0 --set width_d=32",
    "cyclegan-seasons": "cyclegan --data seasons --steps 2200 --seed 0",
    "cyclegan-emoji": "cyclegan --data emoji --steps 8000 --seed 0 --set cycle=2 "
    "--set identity=0.5",
    "paired-seasons": "paired --data seasons --steps 2200 --seed 0",
    "paired-emoji": "paired --data emoji --steps 2200 --seed 0",
}
ADAMW = " --batch-size 128 --set muon_lr=0"  # not the default recipe
RECIPES |= {
    "diffusion-half": "diffusion --data fashion_mnist --steps 600 --seed 0" + ADAMW,
    "diffusion": "diffusion --data fashion_mnist --steps 11000 --seed 0 --set width=48" + ADAMW,
    "diffusion-labels": "diffusion --data fashion_mnist --steps 8000 --seed 0 "
    "--set conditional=True" + ADAMW,
}
RECIPES |= {
    name: "cyclegan --data seasons --steps 700 --batch-size 8 --seed 0 --set width=16 "
    f"--set width_d=16 --set cycle={cycle:g} --set identity={identity:g}"
    for (cycle, identity), name in MIXED.items()
}
RECIPES |= {
    f"vae-beta-{beta}": "vae --data fashion_mnist --steps 1000 --seed 0 --set width=16 "
    f"--set hidden=64 --set warm_up=0 --set weight_decay=0 --set beta={beta}"
    for beta in ("0.25", "1", "4", "16", "64")
}
RECIPES |= {
    "people-judge": "attribute-judge --data people --steps 4000 --seed 0",
    "text-to-image": "text-to-image --data people --steps 14000 --seed 0",
    "gpt-names": "gpt --data names --steps 4000 --batch-size 64 --seed 0 --set width=80 "
    "--set layers=3",
    "gpt-austen": "gpt --data austen --steps 4000 --batch-size 16 --seed 0 --set width=192 "
    "--set heads=6 --set noise=0.1",
    "gpt-korean": "gpt --data korean --steps 600 --seed 0 --set width=64 --set layers=3",
    "gpt-tunes": "gpt --data tunes --steps 1200 --batch-size 16 --seed 0 --set width=96",
}

FROZEN = ("judge", "people-judge")


def retrain(name: str) -> None:
    """Train one model by its recipe, and replace its shipped weights and card."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / name
        if cli.main(["train", *RECIPES[name].split(), "--out", str(run)]):
            raise SystemExit(1)
        keep(run, name)


def keep(run: Path, name: str) -> None:
    """Measure a finished run, and save its weights and card among the shipped ones."""
    model, card = load(run / RUN_FILE, Model), read_card(run / RUN_FILE)
    target = pretrained_folder() / f"{name}.safetensors"
    if name != "judge":
        model.half()  # halves the file; ``load`` converts the weights back to float32
    save(model, run / target.name)  # a copy, to measure the rounded weights first
    rows = experiment.evaluate(load(run / target.name, Model), card["data"])
    figures = {k: round(v, 5) for k, v in experiment.figures(rows).items()}
    facts = {k: card[k] for k in ("data", "seed", "steps", "minutes", "machine")}
    facts["command"] = f"python -m gen_lib train {RECIPES[name]}"
    judge = "people-judge" if card["data"] == "people" else "judge"
    if name != judge and card["data"] not in TEXT_SETS:
        facts["judge_sha256"] = sha256(pretrained_folder() / f"{judge}.safetensors")
    save(model, target, **facts, figures=figures)
    print(name, figures)


def main() -> None:
    """Retrain the named models, or all but the judges."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(RECIPES)}")
    names = parser.parse_args().names or [name for name in RECIPES if name not in FROZEN]
    if unknown := set(names) - set(RECIPES):
        parser.error(f"no recipe for {', '.join(sorted(unknown))}")
    for name in names:
        retrain(name)


if __name__ == "__main__":
    main()
