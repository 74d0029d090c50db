"""Study of chapter 08: a student that draws in one to four network calls.

Run it with ``python gen_course/ch08_words_to_pictures/studies/few_steps.py``.

The straight path leads from noise eps to a code z, but the *mean* velocity that a network learns
bends: many pictures lie behind each noise. Reflow (Liu, Gong, Liu 2022, arXiv:2209.03003) pairs
each noise with the one code that the shipped model makes of it, guidance included, and trains a
copy of the network on these pairs by the same loss. Between the two ends of a pair the path is
straight, so few steps follow it. Half of the times are 1, where a single call begins.

It draws PAIRS pairs (about 20 minutes on one core with bfloat16 or without), trains the student
(about 25 minutes with bfloat16), and writes few_steps.safetensors with its card. The study
``words_obedience.py`` measures it.
"""

import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import trange

from gen_lib.data.people import load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.people.words import encode
from gen_lib.models import TextToImage
from gen_lib.training.checkpoints import load_pretrained, save
from gen_lib.training.hardware import has_bfloat16, machine
from gen_lib.training.loop import average_decay, learning_rate_scale

PAIRS, GUIDANCE, STEPS, BATCH, LR = 10_000, 2.0, 7_000, 64, 1e-3
TARGET = Path(__file__).with_suffix(".safetensors")


def pairs(model: TextToImage) -> tuple[Tensor, Tensor, Tensor]:
    """Noise, the code that the model makes of it, and the sentence."""
    rng = torch.Generator().manual_seed(0)
    people = load_people().train.attributes[:PAIRS]
    c = encode(captions(people, "both", rng).texts)
    noises, codes = [], []
    for start in trange(0, len(c), 100, desc="pairs"):
        states = list(model.states(100, rng, labels=c[start : start + 100], guidance=GUIDANCE))
        noises.append(states[0].x)
        codes.append(states[-1].x)
    return torch.cat(noises), torch.cat(codes), c


def main() -> None:
    """Draw the pairs, train the student, save it."""
    start = time.monotonic()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    model = load_pretrained("text-to-image", TextToImage)
    eps, z, c = pairs(model)
    net, weights = model.net.train(), list(model.net.parameters())
    average = [p.detach().clone() for p in weights]
    optimiser = torch.optim.AdamW(weights, LR)
    bar = trange(STEPS, desc="student")
    for step in bar:
        for group in optimiser.param_groups:
            group["lr"] = LR * learning_rate_scale(step / STEPS)
        i = torch.randint(len(z), (BATCH,))
        t = torch.where(torch.rand(BATCH) < 0.5, 1.0, torch.rand(BATCH))
        share = t[:, None, None, None]
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(torch.device("cpu"))):
            u = net((1 - share) * z[i] + share * eps[i], t, c[i])
        loss = (u.float() - (eps[i] - z[i])).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        torch._foreach_lerp_(average, [p.detach() for p in weights], 1 - average_decay(step + 1))
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.4f}")
    with torch.no_grad():
        torch._foreach_copy_([p.data for p in weights], average)
    minutes = (time.monotonic() - start) / 60
    facts = {"data": "people", "seed": 0, "steps": STEPS, "minutes": round(minutes, 2)}
    command = "python gen_course/ch08_words_to_pictures/studies/few_steps.py"
    save(model.eval().half(), TARGET, **facts, machine=machine(), command=command)


if __name__ == "__main__":
    main()
