"""What students hand in: each classic mistake, and right answers in another style.

A mistake replaces a piece of the master's solution of one question; the message is a regular
expression for what the student must be told. ``tests/test_homework.py`` lets nbgrader grade the
first two of each question, ``tests/test_homework_masters.py`` runs them all.
"""

from functools import cache
from typing import Any, NamedTuple

import assignments
import nbformat
from nbformat import NotebookNode

NAMES = list(assignments.masters())


def grader(cell: NotebookNode, key: str) -> Any:
    return cell.metadata.get("nbgrader", {}).get(key)


@cache
def master(name: str) -> NotebookNode:
    return assignments.instructor_version(assignments.masters()[name])


def released(name: str) -> NotebookNode:
    return nbformat.read(assignments.RELEASE / f"{name}.ipynb", as_version=4)


@cache
def points(name: str) -> dict[str, int]:
    """Points of the autograded cells, by grade_id."""
    return {
        grader(cell, "grade_id"): grader(cell, "points")
        for cell in master(name).cells
        if grader(cell, "grade") and not grader(cell, "solution")
    }


@cache
def solutions(name: str) -> dict[str, str]:
    """The master's code, by grade_id."""
    return {
        grader(cell, "grade_id"): cell.source
        for cell in master(name).cells
        if grader(cell, "solution") and cell.cell_type == "code"
    }


class Mistake(NamedTuple):
    """One wrong solution."""

    question: str
    right: str
    wrong: str
    message: str

    def answers(self, name: str) -> dict[str, str]:
        """The master's solutions, one of them with the mistake."""
        right = solutions(name)
        assert right[self.question].count(self.right) == 1, self
        return right | {self.question: right[self.question].replace(self.right, self.wrong)}


MISTAKES: dict[str, list[Mistake]] = {
    "hw1_autoencoders": [
        Mistake("contractive_penalty", "slope**2 @", "slope @", "slope .* is not squared"),
        Mistake("contractive_penalty", ".mean()", ".sum()", "summed over the batch"),
        Mistake("contractive_penalty", "z * (1 - z)", "z", "z itself stands for the slope"),
        Mistake("contractive_penalty", "dim=1", "dim=0", "wrong dimension"),
        Mistake("jacobian_norm", "randn", "rand", "randn, not rand"),
        Mistake("jacobian_norm", ", create_graph=True", "", "needs create_graph=True"),
        Mistake("jacobian_norm", "z.shape,", "z.shape[1],", "share one v"),
        Mistake("jacobian_norm", "(z * v).sum()", "z.sum()", "v is missing"),
        Mistake("k_sparse", "h.topk", "h.abs().topk", "largest in absolute value"),
        Mistake(
            "k_sparse",
            "scatter(1, h.topk(k, dim=1).indices, 1.0)",
            "scatter(0, h.topk(k, dim=0).indices, 1.0)",
            "across the batch",
        ),
        Mistake(
            "k_sparse",
            "torch.zeros_like(h).scatter(1, h.topk(k, dim=1).indices, 1.0)",
            "h >= h.topk(k, dim=1).values[:, -1:]",
            "Equal units are all kept",
        ),
        Mistake("cosine_mask", "torch.cos", "torch.sin", "runs backwards"),
        Mistake("cosine_mask", ".ceil()", ".floor()", "cut off"),
        Mistake("cosine_mask", "return rank <", "return rank >=", "you mark the visible"),
        Mistake(
            "cosine_mask",
            "return rank < hidden[:, None]",
            "return torch.rand(rank.shape, generator=generator) < hidden[:, None] / patches",
            "a coin for each patch",
        ),
    ],
}

OTHER_STYLE: dict[str, dict[str, str]] = {
    "hw1_autoencoders": {
        "contractive_penalty": """
def contractive_penalty(z, W):
    J = (z * (1 - z))[:, :, None] * W  # (n, K, D)
    return torch.einsum("nkd,nkd->", J, J) / len(z)
""",
        "jacobian_norm": """
def jacobian_norm(encode, x, generator):
    warnings.warn("a warning on stderr must not cost a point")
    images = x.clone().requires_grad_(True)
    codes = encode(images)
    signs = torch.randn(codes.size(), generator=generator, dtype=codes.dtype)
    back = torch.autograd.grad(codes, images, grad_outputs=signs, create_graph=True)[0]
    return torch.stack([torch.linalg.vector_norm(g) ** 2 for g in back[:]])
""",
        "k_sparse": """
def k_sparse(h, k):
    print("a word on stdout must not, either")
    rows = []
    for row in h:
        order = sorted(range(len(row)), key=lambda j: -row[j].item())
        rows.append(torch.stack([u if j in order[:k] else 0 * u for j, u in enumerate(row)]))
    return torch.stack(rows)
""",
        "cosine_mask": """
def cosine_mask(u, patches, generator):
    mask = torch.zeros((u.shape[0], patches), dtype=torch.bool)
    for row, value in zip(mask, u.tolist()):
        hidden = math.ceil(math.cos(math.pi * value / 2) * patches)
        row[torch.randperm(patches, generator=generator)[:hidden]] = True
    return mask
""",
    },
}
