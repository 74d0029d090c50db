"""List what students hand in: each classic mistake, and right answers in another style.

A mistake replaces a piece of the master's solution of one question; the message is a regular
expression for what the student must be told. ``test_homework.py`` lets nbgrader grade the first two
of each question, ``test_masters.py`` runs them all.
"""

from functools import cache
from typing import Any, NamedTuple

import nbformat
from nbformat import NotebookNode

from gen_course.build import assignments

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
            "return torch.rand(rank.shape, generator=rng) < hidden[:, None] / patches",
            "a coin for each patch",
        ),
    ],
    "hw2_vae": [
        Mistake(
            "mmd2",
            """(kernel(a, a).sum() - m) / (m * (m - 1))  # k(a_i, a_i) = 1 does not count
    within_b = (kernel(b, b).sum() - n) / (n * (n - 1))""",
            """kernel(a, a).mean()
    within_b = kernel(b, b).mean()""",
            "The diagonal counts",
        ),
        Mistake("mmd2", "- 2 * kernel", "- kernel", "the factor 2 is missing"),
        Mistake("mmd2", ".square().sum(dim=2)", ".norm(dim=2)", "in the kernel is not squared"),
        Mistake("mmd2", "(2 * width**2)", "(2 * width)", "The width is not squared"),
        Mistake("mmd_vae_loss", ".sum(dim=1)", ".mean(dim=1)", "averaged over the pixels"),
        Mistake(
            "mmd_vae_loss",
            "-F.logsigmoid(x * logits).flatten(1).sum(dim=1).mean()",
            "F.binary_cross_entropy_with_logits(logits, x, reduction='sum') / len(x)",
            "takes it for 0 or 1",
        ),
        Mistake("mmd_vae_loss", "torch.randn", "torch.rand", "mean other than 0"),
        Mistake("mmd_vae_loss", "distance(z,", "distance(z.detach(),", "z is detached"),
        Mistake("kl_to_class", "mu - means[labels]", "mu", "The means are ignored"),
        Mistake("kl_to_class", "apart**2", "mu**2 - means[labels] ** 2", "subtract before you"),
        Mistake("kl_to_class", "log_var.exp() -", "(2 * log_var).exp() -", "log of the variance"),
        Mistake("kl_to_class", "sum(dim=1)", "mean(dim=1)", "averaged over the units"),
        Mistake("draw_class", "m + torch", "torch", "means of the classes are missing"),
        Mistake("draw_class", "randn(m.shape,", "randn(m.shape[1],", "eps is shared"),
        Mistake("draw_class", ", generator=rng)", ")", "rng has not moved"),
    ],
    "hw3_gan": [
        Mistake(
            "wasserstein_losses",
            "f_fake.mean() - f_real.mean()",
            "f_real.mean() - f_fake.mean()",
            "critic's sign is wrong",
        ),
        Mistake(
            "wasserstein_losses", "-f_fake.mean()\n", "f_fake.mean()\n", "generator's sign is wrong"
        ),
        Mistake(
            "wasserstein_losses",
            "f_fake.mean() - f_real.mean()",
            "F.softplus(-f_real).mean() + F.softplus(f_fake).mean()",
            "no sigmoid and no logarithm",
        ),
        Mistake(
            "gradient_penalty", "len(real), 1, 1, 1", "1, 1, 1, 1", "u is shared by all images"
        ),
        Mistake(
            "gradient_penalty",
            "torch.rand(len(real), 1, 1, 1",
            "torch.rand(real.shape",
            "u differs within an image",
        ),
        Mistake("gradient_penalty", "torch.rand(", "torch.randn(", "do not lie between"),
        Mistake("gradient_penalty", ".flatten(1).norm(dim=1)", ".norm()", "over the whole batch"),
        Mistake(
            "gradient_penalty", ".flatten(1).norm(dim=1)", ".norm(dim=1)", "over the channels only"
        ),
        Mistake("gradient_penalty", ", create_graph=True", "", "needs create_graph=True"),
        Mistake("told", "V[labels]", "V", "use the row of its label"),
        Mistake(
            "told",
            "(features * V[labels]).sum(dim=1)",
            "(features @ V.mT).sum(dim=1)",
            "All classes are added up",
        ),
        Mistake("told", "features @ w + ", "", "w . phi, is missing"),
        Mistake(
            "patch_nce",
            "F.normalize(q, dim=2), F.normalize(k.detach(), dim=2)",
            "q, k.detach()",
            "not scaled to length 1",
        ),
        Mistake("patch_nce", "log_softmax(dim=2)", "log_softmax(dim=1)", "softmax runs over q"),
        Mistake("patch_nce", "/ tau", "* tau", "multiplied by the temperature"),
        Mistake("patch_nce", "k.detach()", "k", "Gradients flow to k"),
    ],
    "hw4_diffusion": [
        Mistake("ab2_step", "(1 + r / 2) * v - r / 2 *", "1.5 * v - 0.5 *", "equal steps only"),
        Mistake("ab2_step", "(s - t) / (t - b)", "(t - b) / (s - t)", "upside down"),
        Mistake("ab2_step", "- r / 2", "+ r / 2", "The velocity before is added"),
        Mistake("ab2_step", "x + h *", "x - h *", "goes the wrong way"),
        Mistake(
            "follow",
            "        v_before = v\n",
            "        v_before = v_before if k else v\n",
            "stays that of the first step",
        ),
        Mistake("follow", "velocity(x, t)", "velocity(x, s)", "at the end of each step"),
        Mistake("follow", "else step(x, v,", "else step(x, velocity(x, t),", "7 calls for 4 steps"),
        Mistake("follow", "times[k - 1], t, s)", "t, t, s)", "told the wrong times"),
        Mistake("project", "y - F.avg_pool2d(x_0, f)", "y", "still in there"),
        Mistake("project", "return x_0 +", "return x_0 -", "sign is wrong"),
        Mistake("project", "F.avg_pool2d(x_0, f)", "f**2 * F.avg_pool2d(x_0, f)", "not its sum"),
        Mistake(
            "project",
            "missing.repeat_interleave(f, dim=2).repeat_interleave(f, dim=3)",
            "F.interpolate(missing, scale_factor=f, mode='bilinear')",
            "A\\^\\+ repeats the pixels",
        ),
        Mistake("guidance", "torch.enable_grad()", "torch.no_grad()", "switch gradients on inside"),
        Mistake(
            "guidance", ".square().sum()", ".square().mean()", "averaged over batch and pixels"
        ),
        Mistake("guidance", "denoise(x_t)", "x_t", "The denoiser is left out"),
        Mistake("guidance", "return torch.", "return -torch.", "sign is wrong"),
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
def jacobian_norm(encode, x, rng):
    warnings.warn("a warning on stderr must not cost a point")
    images = x.clone().requires_grad_(True)
    codes = encode(images)
    signs = torch.randn(codes.size(), generator=rng, dtype=codes.dtype)
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
def cosine_mask(u, patches, rng):
    mask = torch.zeros((u.shape[0], patches), dtype=torch.bool)
    for row, value in zip(mask, u.tolist()):
        hidden = math.ceil(math.cos(math.pi * value / 2) * patches)
        row[torch.randperm(patches, generator=rng)[:hidden]] = True
    return mask
""",
    },
    "hw2_vae": {
        "mmd2": """
def mmd2(a, b, width):
    k = lambda u, v: (-(torch.cdist(u, v) ** 2) / 2 / width / width).exp()
    own = lambda u: k(u, u)[~torch.eye(len(u), dtype=torch.bool)].mean()
    return own(a) + own(b) - 2 * k(a, b).mean()
""",
        "mmd_vae_loss": """
def mmd_vae_loss(logits, x, z, weight, distance, rng):
    n, K = z.size()
    bce = nn.BCEWithLogitsLoss(reduction="sum")(logits, (x + 1) / 2) / n
    noise = torch.empty(n, K).normal_(generator=rng)
    return bce + weight * distance(noise, z)
""",
        "kl_to_class": """
def kl_to_class(mu, log_var, labels, means):
    q = torch.distributions.Normal(mu, torch.exp(log_var / 2))
    p = torch.distributions.Normal(F.one_hot(labels, len(means)).to(means) @ means, torch.ones(()))
    return torch.distributions.kl_divergence(q, p).sum(-1)
""",
        "draw_class": """
def draw_class(decode, labels, means, rng):
    print("drawing")
    z = torch.stack([torch.normal(means[y], 1.0, generator=rng) for y in labels])
    warnings.warn("slow")
    return decode(z)
""",
    },
    "hw3_gan": {
        "wasserstein_losses": """
def wasserstein_losses(f_real, f_fake):
    n = f_real.shape[0]
    return [torch.sum(f_fake - f_real) / n, torch.sum(-f_fake) / n]
""",
        "gradient_penalty": """
def gradient_penalty(f, real, fake, rng):
    warnings.warn("careful")
    u = torch.empty(real.size(0)).uniform_(generator=rng).view(-1, 1, 1, 1)
    point = torch.lerp(real, fake, u.expand_as(real)).requires_grad_(True)
    out = f(point)
    g = torch.autograd.grad(out, point, torch.ones_like(out), create_graph=True, retain_graph=True)
    return torch.mean((torch.sqrt(torch.sum(g[0] ** 2, dim=(1, 2, 3))) - 1.0) ** 2)
""",
        "told": """
def told(features, labels, w, V):
    return torch.stack([phi @ (w + V[y]) for phi, y in zip(features, labels)])
""",
        "patch_nce": """
def patch_nce(q, k, tau):
    print("contrasting")
    q = q / q.norm(dim=-1, keepdim=True)
    k = k.data / k.data.norm(dim=-1, keepdim=True)
    total = 0.0
    for a, b in zip(q, k):
        total = total + F.cross_entropy(a @ b.T / tau, torch.arange(len(a)))
    return total / len(q)
""",
    },
    "hw4_diffusion": {
        "ab2_step": """
def ab2_step(x, v, v_before, b, t, s):
    slope = (v - v_before) / (t - b)
    return x + v * (s - t) + slope * (s - t) ** 2 / 2
""",
        "follow": """
def follow(velocity, step, x, times):
    state, seen = x.clone(), []
    for i in range(len(times) - 1):
        seen.append(velocity(state, times[i]))
        if i:
            state = step(state, seen[-1], seen[-2], times[i - 1], times[i], times[i + 1])
        else:
            state = torch.add(state, seen[0], alpha=float(times[1] - times[0]))
    return state
""",
        "project": """
def project(x_0, y, f):
    blocks = x_0.unfold(2, f, f).unfold(3, f, f)
    moved = blocks - blocks.mean((-1, -2), keepdim=True) + y[..., None, None]
    return moved.permute(0, 1, 2, 4, 3, 5).reshape(x_0.shape)
""",
        "guidance": """
def guidance(denoise, x_t, y, f):
    warnings.warn("one by one")
    out = []
    for one, small in zip(x_t, y):
        error = lambda x: ((F.avg_pool2d(denoise(x[None]), f)[0] - small) ** 2).sum()
        out.append(torch.func.grad(error)(one))
    return torch.stack(out)
""",
    },
}
