"""Write the results in the README: ``python -m gen_course.build.results``, by ``make notebooks``.

They are tables from the stored studies of chapters 07, 02 and 08, between the markers ``results``.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from gen_course.build import places
from gen_course.build.places import README
from gen_course.ch07_comparison.criteria import Reading, Row, summary
from gen_course.common.studies import read_study

COLUMNS = {  # what a column shows, and with how many digits
    "Fréchet distance": (Reading("frechet"), ".2f"),
    "its spread": (Reading("frechet", spread=True), ".0%"),
    "Precision": (Reading("precision"), ".2f"),
    "Recall": (Reading("recall"), ".2f"),
    "Coverage": (Reading("coverage"), ".2f"),
    "Network calls": (Reading("calls"), ".0f"),
    "Seconds for 1,000": (Reading("seconds_1000"), ".2f"),
}
WORDS = {  # what a column shows, and with how many digits
    "Named attributes seen": ("obedience", ".1%"),
    "with a pair that training never shows": ("obedience_unseen", ".1%"),
    "Two colours in place": ("right_colours", ".1%"),
    "Seconds a picture": ("seconds_a_picture", ".2f"),
    "Weights": ("weights", ",.0f"),
}
LADDER = {"mse": "Error per pixel", "probe_100": "100 labels", "probe_10000": "10,000 labels"}


def families(rows: Sequence[Row]) -> str:
    """A table of each family's figures, means over seeds; the last row is for real images.

    It takes the longest training time among those with the most runs.
    """
    counts = Counter(float(row["budget"]) for row in rows if row["seed"])
    seconds = max(counts, key=lambda budget: (counts[budget], budget))
    runs = [row for row in rows if row["seed"] and float(row["budget"]) == seconds]
    by = {name: summary(runs, reading) for name, (reading, _) in COLUMNS.items()}
    names = next(iter(by.values()))
    lines = [[f, *(format(by[c][f], COLUMNS[c][1]) for c in COLUMNS)] for f in names]
    (real,) = (row for row in rows if not row["seed"])
    lines.append([real["family"], *(_of(real, *COLUMNS[c]) for c in COLUMNS)])
    seeds = len({row["seed"] for row in runs})
    return (
        f"Samples of Fashion-MNIST, after {seconds:.0f} seconds of computing on one core each: "
        f"means of {seeds} seeds, {int(real['n']):,} samples of each. The spread is that of the "
        f"seeds, (largest - smallest) / mean.\n\n{table(['', *COLUMNS], lines)}"
    )


def ladder(rows: Sequence[Row]) -> str:
    """A table of the autoencoders' errors, and of how well their features can be classified."""
    lines = [[row["model"], *(_rounded(row[column]) for column in LADDER)] for row in rows]
    (minutes,) = {float(row["minutes"]) for row in rows if row["minutes"]}
    return (
        f"What codes are good for, after {minutes:g} minutes on one core each: the error of what "
        "is rebuilt, and the accuracy of a linear classifier that reads the features.\n\n"
        f"{table(['', *LADDER.values()], lines)}"
    )


def words(rows: Sequence[Row]) -> str:
    """A table of how often models of people draw what a sentence says, one run of each."""
    lines = [
        [row["model"], *(format(float(row[column]), digits) for column, digits in WORDS.values())]
        for row in rows
    ]
    (minutes,), (n,) = {float(row["minutes"]) for row in rows}, {int(row["n"]) for row in rows}
    return (
        f"People of 48 x 48 pixels, drawn from sentences, after {minutes:g} minutes on one core "
        f"each: one run of each model, {n:,} sentences in each column. A judge says which of the "
        "attributes that a sentence names a picture shows. The network for pixels is half as wide, "
        f"because its grid has 16 times as many places.\n\n{table(['', *WORDS], lines)}"
    )


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown with right-aligned numbers."""
    rows = [head, ["---"] + ["---:"] * (len(head) - 1), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def render() -> str:
    """The text between the markers."""
    found = {path.stem for path in places.studies()}
    tables = {"comparison": families, "ladder": ladder, "same_clock": words}
    texts = [write(read_study(study)) for study, write in tables.items() if study in found]
    return "\n\n" + "\n".join([*texts, ""])


def between(text: str, inner: str, name: str = "results") -> str:
    """Replace the text between the markers of a name."""
    head, tail = f"<!-- {name} -->", f"<!-- /{name} -->"
    return text[: text.index(head)] + head + inner + text[text.index(tail) :]


def _of(row: Row, reading: Reading, digits: str) -> str:
    return (
        ""
        if reading.spread or not row[reading.column]
        else format(float(row[reading.column]), digits)
    )


def _rounded(text: str) -> str:
    return f"{float(text):.3f}" if text else ""


def main() -> None:
    """Write the tables into the README."""
    README.write_text(between(README.read_text(encoding="utf-8"), render()), encoding="utf-8")


if __name__ == "__main__":
    main()
