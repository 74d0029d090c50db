"""The linear probe: how well a linear classifier predicts the classes of images from features.

The classifier is linear because a deep one could learn the features that are missing (Alain &
Bengio 2016, arXiv:1610.01644).
"""

import warnings
from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor


class Labelled(NamedTuple):
    """Features of images, one row per image, and their class indices."""

    features: Float[Tensor, "n features"]
    labels: Int64[Tensor, "n"]


def linear_probe(train: Labelled, chosen_on: Labelled, test: Labelled) -> float:
    """Test accuracy, in [0, 1], of logistic regression on standardised features.

    The strength of its L2 penalty is the one with the best accuracy on ``chosen_on``, whose images
    are neither in ``train`` nor in ``test``.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, scale = train.features.mean(dim=0), train.features.std(dim=0) + 1e-3
    x, x_chosen, x_test = (
        ((part.features - mean) / scale).numpy() for part in (train, chosen_on, test)
    )
    fits: dict[float, LogisticRegression] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early regularises, too
        for C in (0.001, 0.01, 0.1, 1.0):
            fit = LogisticRegression(C=C, max_iter=200).fit(x, train.labels)
            fits.setdefault(fit.score(x_chosen, chosen_on.labels), fit)  # the stronger, if equal
    return float(fits[max(fits)].score(x_test, test.labels))
