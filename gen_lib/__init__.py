r"""gen_lib: the reusable half of the course on generative models.

Data flows one way, and every room answers one question; a room imports only from rooms above it.

====================  =====================================================
``clock``             how long does this take here?
``data``              what is x?
``schedules``         how noisy is x at time t?
``nets``              which function?
``samplers``          how does a reverse process step?
``models``            what is minimised, and how does one sample?
``processes``         which share of the work is mine?
``progress``          where does a run stand?
``training``          how do the weights move?
``checkpoints``       how is a trained model kept, found and trusted?
``metrics``           how good is it?
``probe``             what can be read from features?
``translation``       how good is a translation?
``comparison``        which family for which purpose?
``plots``, ``checks`` arrays to figures; did the student's function do what it must?
``widgets``           what happens if I move this?
``runs``              how is a run started, kept and gone on with?
``cli``               the same without a notebook
====================  =====================================================

Notation, one letter for one thing in every notebook, docstring and figure:

==================  ======================================================================
``x``, ``x_n``      an image (or a point of a toy), the n-th of N
``y(x, w)``         the reconstruction of x by a network with weights w
``z``, ``K``        the latent code of x, and its number of units z_1 ... z_K
``E``               the lecture's loss, E(w) = 1/2 sum_n ||y(x_n, w) - x_n||^2
``p_data``          the distribution that the data came from
``p_model``         the distribution that a model samples from
``G``, ``D``, ``f``   a generator, x = G(z); a discriminator, D(x) in [0, 1]; its logit f(x)
``x``, ``y``         of two domains A and B; ``G`` translates x to B, ``F`` translates y to A
``D_X``, ``D_Y``     what tells x from F(y), what tells y from G(x); one verdict a patch
``mu``, ``Sigma``   a mean and a covariance
``p(z)``            the prior of the codes, N(0, I)
``q(z|x)``          the encoder's distribution of the code of x, N(mu, diag(sigma^2))
``log_var``         log sigma^2 of it
``eps``             standard normal noise: z = mu + sigma * eps
``beta``            the weight of the KL in the loss of a variational autoencoder
``lambda``          the weight of another term of a loss: sparsity, cycle, identity
``x_t``, ``x_0``    x after the time t of a noising process, and the clean x
``signal_t``        what x_0 is multiplied by in x_t = signal_t x_0 + sigma_t eps
``sigma_t``         the standard deviation of the noise in x_t
``beta_t``          the variance of the noise that the step to t adds; alpha_t = 1 - beta_t
``alpha_bar_t``     the product of alpha_1 ... alpha_t, where it is signal_t^2
``SNR_t``           signal_t^2 / sigma_t^2
``tau``             sigma_t / (signal_t + sigma_t): the time of the straight path
``w`` of a sampler    the weight of guidance
==================  ======================================================================

Images are float32 of shape (N, C, H, W) in [-1, 1] at every public interface of models, samplers
and metrics; data sets hold uint8, and pictures leave as uint8.
"""


class InputError(ValueError):
    """What was given cannot be used: one sentence that names it and the remedy."""
