"""A plain autoencoder as a generative model: a mixture of Gaussians fitted to its codes.

    p(z) = sum_m w_m N(z; mu_m, Sigma_m),   x = decode(z)

The mixture is fitted by expectation-maximisation (Dempster, Laird & Rubin 1977) after the
autoencoder was trained, which itself stays unchanged (Ghosh et al. 2019, arXiv:1903.12436).
"""

import torch
from typing_extensions import override

from gen_lib import positive
from gen_lib.models.base import Codes, Images, Reconstructs, Samples, in_batches


class CodeMixture(Samples):
    """A sampler that draws codes from a mixture and decodes them.

    Args:
        model: a trained autoencoder.
        x: images in [-1, 1], more than components; the mixture is fitted to their codes.
        components: number of Gaussians.
        seed: of the start of the fit.
    """

    def __init__(self, model: Reconstructs, x: Images, components: int = 32, seed: int = 0):
        from sklearn.mixture import GaussianMixture

        fit = GaussianMixture(
            positive("components", components), max_iter=200, tol=1e-2, random_state=seed
        ).fit(in_batches(model.encode, x).double().numpy())
        self.model = model
        self.weights, self.means = (torch.from_numpy(v) for v in (fit.weights_, fit.means_))
        self.roots = torch.linalg.cholesky(torch.from_numpy(fit.covariances_))  # (m, k, k)

    def codes(self, n: int, rng: torch.Generator | None = None) -> Codes:
        """n codes from the mixture."""
        which = self.weights.multinomial(n, replacement=True, generator=rng)
        eps = torch.randn(n, self.means.shape[1], generator=rng, dtype=self.means.dtype)
        return (self.means[which] + (self.roots[which] @ eps[:, :, None])[:, :, 0]).float()

    @override
    def sample(self, n: int, rng: torch.Generator | None = None) -> Images:
        return in_batches(self.model.decode, self.codes(n, rng)).clamp(-1, 1)
