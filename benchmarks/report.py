"""Write what the benchmarks measured: ``RESULTS.md``, its figure and a sentence of the README.

``make bench`` calls it after the benchmarks; everything comes from ``measured/*.json``.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from record import MEASURED

HERE = Path(__file__).parent
RESULTS, FIGURE = HERE / "RESULTS.md", HERE / "scaling.svg"
README = HERE.parent / "README.md"
CLOCK, IMAGES = "the same minutes", "as many images"
HEAD = """# What the benchmarks measured

This library beside others on the same data, machine and clock; how much of the machine a training
step uses; how cost grows. A ratio is the other's figure over this library's, for figures of which
less is better: above 1 this library is ahead. What each program does stands at its top.

Written by `make bench` from `measured/`.
"""
Measured = Mapping[str, Any]
"""What each program saved, by its name: ``machine``, ``threads``, ``minutes``,
``verdicts`` and ``rows``."""


class Ratio(NamedTuple):
    """A figure of this library and of another one; less is better."""

    peer: str
    given: str
    """What both were given equally, such as the same minutes."""
    figure: str
    ours: float
    theirs: float

    @property
    def value(self) -> float:
        """Above 1 where this library is ahead."""
        return self.theirs / self.ours


def measured() -> Measured:
    """Read what all programs saved."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(MEASURED.glob("*.json"))}


def ratios(found: Measured) -> list[Ratio]:
    """This library compared with every peer."""
    rows = {name: found[name]["rows"] for name in found}
    return [
        *_of_vae(rows.get("vae_peer", [])),
        *_of_race(rows.get("gan_peer", [])),
        *_of_race(rows.get("diffusion_peer", [])),
    ]


def _of_race(rows: list[dict]) -> Iterator[Ratio]:
    """The first row is the course's. Then come pairs: a peer, the course after as many images."""
    for peer, again in zip(rows[1::2], rows[2::2], strict=True):
        for given, ours in ((CLOCK, rows[0]), (IMAGES, again)):
            yield Ratio(peer["name"], given, "Fréchet", ours["frechet"], peer["frechet"])


def _of_vae(rows: list[dict]) -> Iterator[Ratio]:
    """Rows: the course, pythae twice, the course's networks in pythae's trainer twice."""
    if not rows:
        return
    ours, *_, same = rows
    best = min(row["neg_elbo"] for row in rows if row["networks"] == "pythae")
    yield Ratio("pythae", CLOCK, "negative ELBO", ours["neg_elbo"], best)
    given = f"{IMAGES}, the same networks"
    yield Ratio("pythae's trainer", given, "minutes", ours["minutes"], same["minutes"])


def sentence(found: Measured) -> str:
    """The README's sentence on whether this library is ahead of every peer, and where not."""
    every = ratios(found)
    behind = [ratio for ratio in every if ratio.value <= 1]
    text = f"Beside other libraries this one is ahead in {len(every) - len(behind)} of {len(every)}"
    if not behind:
        return f"{text} comparisons."
    named = "; ".join(f"{r.peer}, {r.given}: {r.figure}, ratio {r.value:.2f}" for r in behind)
    return f"{text} comparisons, and not ahead in: {named}."


def path(found: Measured) -> str:
    """The README's sentence on a newcomer's minutes."""
    if "newcomer" not in found:
        return "Not measured yet."
    seconds = [row["seconds"] for row in found["newcomer"]["rows"]]
    return (
        f"From `git clone` to the first widget moved: {sum(seconds) / 60:.1f} minutes on the "
        f"reference machine, {seconds[1] / 60:.1f} for `make lab` with the packages at hand."
    )


def render(found: Measured) -> str:
    """The text of RESULTS.md; a program that has not been run has no section."""
    parts = [HEAD, _verdicts(found), _peers(found)]
    sections = {"steps": _steps, "scaling": _scaling, "import_cost": _import_cost}
    sections["newcomer"] = _newcomer
    parts += [section(found[name]) for name, section in sections.items() if name in found]
    return "\n".join([*parts, _machines(found)])


def _verdicts(found: Measured) -> str:
    lines = [f"- {line}" for name in found for line in found[name]["verdicts"]]
    return "\n".join(["## Verdicts\n", *lines, ""])


def _peers(found: Measured) -> str:
    lines = [
        [r.peer, r.given, r.figure, f"{r.ours:.2f}", f"{r.theirs:.2f}", f"**{r.value:.2f}**"]
        for r in ratios(found)
    ]
    head = ["Beside", "Both had", "Figure", "Here", "There", "Ratio"]
    text = "## Beside other libraries\n\n" + _table(head, lines)
    races = [name for name in ("gan_peer", "diffusion_peer") if name in found]
    for name in races:
        text += f"\n`{name}.py`, {_number(found[name]['rows'][0]['n'])} samples of each:\n\n"
        text += _runs(found[name]["rows"])
    if "vae_peer" in found:
        text += "\n`vae_peer.py`:\n\n" + _trainers(found["vae_peer"]["rows"])
    return text


def _runs(rows: list[dict]) -> str:
    head = ["", "Minutes", "Images", "Images a second", "Samples a second", "Fréchet", "x floor"]
    return _table(
        head,
        (
            [
                row["name"],
                f"{row['minutes']:.2f}",
                _number(row["images"]),
                _number(row["images"] / row["minutes"] / 60),
                _number(row["n"] / row["seconds"]),
                f"{row['frechet']:.3f}",
                _number(row["frechet"] / row["floor"]),
            ]
            for row in rows
        ),
    )


def _trainers(rows: list[dict]) -> str:
    head = ["Networks", "Trainer", "Minutes", "Images", "Images a second", "Negative ELBO, nats"]
    return _table(
        head,
        (
            [
                row["networks"],
                row["trainer"],
                f"{row['minutes']:.2f}",
                _number(row["images"]),
                _number(row["images"] / row["minutes"] / 60),
                f"{row['neg_elbo']:.1f}",
            ]
            for row in rows
        ),
    )


def _steps(kept: Measured) -> str:
    groups = list(kept["rows"][0]["time"])
    head = ["Family", "Batch", "Share of the peak", *(name.capitalize() for name in groups)]
    lines = (
        [row["family"], _number(row["batch"]), f"**{row['share']:.0%}**"]
        + [f"{row['time'][name]:.0%}" for name in groups]
        for row in kept["rows"]
    )
    peaks = [row["peak"] / 1e9 for row in kept["rows"]]
    return f"""## What a training step uses of the machine

The share of the fastest convolution's {min(peaks):.0f} to {max(peaks):.0f} GFLOP/s in the same
minute, and where the time of a step goes.

{_table(head, lines)}"""


def _scaling(kept: Measured) -> str:
    from scaling import Point, exponents

    found = exponents([Point(**row) for row in kept["rows"]])
    families = list(dict.fromkeys(family for _, family in found))
    lines = (
        [against.capitalize(), *(f"{found[against, family]:.2f}" for family in families)]
        for against in dict.fromkeys(against for against, _ in found)
    )
    return f"""## How cost grows

![Cost of a training step against image side and batch size, and of sampling](scaling.svg)

The exponent at the large end, 1 where twice as much costs twice as much:

{_table(["Against", *families], lines)}"""


def _import_cost(kept: Measured) -> str:
    lines = ([f"`{row['statement']}`", f"{row['ratio']:.2f}"] for row in kept["rows"])
    return "## Import\n\n" + _table(["Statement", "Times `import torch`"], lines)


def _newcomer(kept: Measured) -> str:
    lines = ([row["step"], f"{row['seconds']:.1f}"] for row in kept["rows"])
    return "## A newcomer's path\n\n" + _table(["Step", "Seconds"], lines)


def _machines(found: Measured) -> str:
    lines = [
        [f"`{name}`", f"{kept['minutes']:.1f}", kept["machine"], _number(kept["threads"])]
        for name, kept in found.items()
    ]
    total = sum(kept["minutes"] for kept in found.values())
    table = _table(["Program", "Minutes", "Machine", "Threads"], lines)
    return f"## Measured on\n\n{table}\n{total:.0f} minutes in all.\n"


def _table(head: list[str], lines: Iterable[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(value: float) -> str:
    return f"{value:,.0f}"


def draw(rows: list[dict]) -> None:
    """Draw cost against image size, batch size and number of samples, on logarithmic scales."""
    import matplotlib.pyplot as plt

    from gen_course.common.plots import use_style

    use_style()
    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "scaling"}
    names = list(dict.fromkeys(row["against"] for row in rows))
    figure, axes = plt.subplots(1, len(names), figsize=(9, 3), sharey=True)
    for ax, against in zip(axes, names, strict=True):
        for family, marker in zip(dict.fromkeys(row["family"] for row in rows), "osD", strict=True):
            line = [r for r in rows if (r["against"], r["family"]) == (against, family)]
            amounts, costs = [r["amount"] for r in line], [r["cost"] for r in line]
            ax.loglog(amounts, costs, marker=marker, label=family, base=10)
        ax.set_xticks(amounts, [str(amount) for amount in amounts], minor=False)
        ax.minorticks_off()
        ax.set_xlabel(against)
    axes[0].set_ylabel("cost, in steps of the VAE\non 64 images of 28 pixels")
    axes[0].legend()
    for ax, title in zip(axes, ("a training step", "a training step", "sampling"), strict=False):
        ax.set_title(title)
    figure.savefig(FIGURE, metadata={"Date": None})
    plt.close(figure)


def between(text: str, name: str, inner: str) -> str:
    """Replace the text between the markers of a name."""
    head, tail = f"<!-- {name} -->", f"<!-- /{name} -->"
    return text[: text.index(head)] + head + inner + text[text.index(tail) :]


def main() -> None:
    """Write RESULTS.md, its figure and the sentences in the README."""
    found = measured()
    RESULTS.write_text(render(found), encoding="utf-8")
    if "scaling" in found:
        draw(found["scaling"]["rows"])
    text = README.read_text(encoding="utf-8")
    for name, words in (("benchmark", sentence(found)), ("newcomer", path(found))):
        text = between(text, name, f"\n\n{words}\n\n")
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
