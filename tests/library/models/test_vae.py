"""The variational autoencoder: its terms against closed forms, its bounds against exact answers."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from gen_lib import InputError
from gen_lib.data import ImageSet
from gen_lib.experiment import evaluate
from gen_lib.models import BernoulliVAE, GaussianVAE
from gen_lib.models.vae import Posterior, active_units, binarise, likelihood_bounds, log_normal
from gen_lib.training import fit

KINDS = [BernoulliVAE, GaussianVAE]
every_kind = pytest.mark.parametrize("kind", KINDS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def q(rng) -> Posterior:
    return Posterior(*torch.randn(2, 50, 7, generator=rng))


# The terms


def test_the_kl_is_that_of_torch_and_of_monte_carlo(q):
    normal = Normal(q.mu, (0.5 * q.log_var).exp())
    torch.testing.assert_close(q.kl(), kl_divergence(normal, Normal(0.0, 1.0)))
    prior = Normal(0.0, 1.0)
    z = torch.stack([q.draw(seeded(k)) for k in range(4_000)])
    log_ratio = normal.log_prob(z) - prior.log_prob(z)  # (draws, n, k)
    error = log_ratio.std(dim=0) / math.sqrt(len(z))
    assert ((log_ratio.mean(dim=0) - q.kl()).abs() < 5 * error).all()


def test_the_kl_is_zero_for_the_prior_alone(q):
    assert Posterior(torch.zeros(3, 2), torch.zeros(3, 2)).kl().abs().max() == 0
    assert (q.kl() > 0).all()


def test_a_code_has_the_mean_and_deviation_of_its_posterior_and_a_noise_of_its_own(rng):
    mu, log_var = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, math.log(0.25)]])
    z = Posterior(mu.expand(20_000, 2), log_var.expand(20_000, 2)).draw(rng)
    torch.testing.assert_close(z.mean(dim=0), mu[0], atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(dim=0), torch.tensor([1.0, 0.5]), atol=0.02, rtol=0)
    assert z.T.corrcoef()[0, 1].abs() < 0.03
    assert len(z[:, 0].unique()) > 19_000


def test_the_gradient_of_an_expectation_goes_through_the_draw(rng):
    """E z^2 = mu^2 + sigma^2, so its derivatives are 2 mu and, for log sigma^2, sigma^2."""
    mu = torch.full((200_000, 1), 0.7).requires_grad_()
    log_var = torch.full((200_000, 1), math.log(0.3)).requires_grad_()
    Posterior(mu, log_var).draw(rng).square().sum().backward()
    assert mu.grad.mean().item() == pytest.approx(1.4, abs=0.02)
    assert log_var.grad.mean().item() == pytest.approx(0.3, abs=0.01)


def test_log_normal_is_that_of_torch(q, rng):
    z = torch.randn(50, 7, generator=rng)
    expected = Normal(q.mu, (0.5 * q.log_var).exp()).log_prob(z).sum(dim=1)
    torch.testing.assert_close(q.log_prob(z), expected)
    torch.testing.assert_close(
        log_normal(z, q.mu, torch.tensor(0.3)), Normal(q.mu, math.exp(0.3)).log_prob(z).sum(dim=1)
    )


def test_black_and_white_images_have_the_grey_one_as_their_mean(rng):
    x = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    drawn = binarise(x.expand(20_000, 1, 4, 4), rng)
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(drawn.mean(dim=0), x[0], atol=0.03, rtol=0)
    assert torch.equal(binarise(x, seeded(1)), binarise(x, seeded(1)))
    assert not torch.equal(binarise(x, seeded(1)), binarise(x, seeded(2)))


def test_the_bernoulli_likelihood_is_that_of_torch(few, rng):
    model = BernoulliVAE(latent_size=3, width=4)
    x, z = binarise(few.x[:9], rng), torch.randn(9, 3, generator=rng)
    white = (x + 1) / 2
    expected = Bernoulli(logits=model.decoder(z)).log_prob(white).flatten(1).sum(dim=1)
    torch.testing.assert_close(model.log_likelihood(x, z), expected)
    torch.testing.assert_close(model.decode(z), 2 * torch.sigmoid(model.decoder(z)) - 1)


def test_the_gaussian_likelihood_is_that_of_torch_and_sigma_is_best_at_the_rms_error(few):
    model = GaussianVAE(latent_size=3, width=4)
    x, z = few.x[:9], torch.zeros(9, 3)
    y = model.decode(z)
    expected = Normal(y, model.log_sigma_x.exp()).log_prob(x).flatten(1).sum(dim=1)
    torch.testing.assert_close(model.log_likelihood(x, z), expected)
    with torch.no_grad():
        model.log_sigma_x.copy_(0.5 * (y - x).square().mean().log())
    model.log_likelihood(x, z).mean().backward()
    assert model.log_sigma_x.grad.abs().item() < 1e-3 * x[0].numel()


def test_a_fixed_weight_of_the_squared_error_is_a_fixed_sigma(few):
    """-log p(x|z) = ||x - y||^2 / (2 sigma^2) + a constant: MSE alone says sigma^2 = 1/2."""
    model = GaussianVAE(latent_size=3, width=4)
    with torch.no_grad():
        model.log_sigma_x.fill_(0.5 * math.log(0.5))
    x, z = few.x[:9], torch.randn(9, 3, generator=seeded())
    squared = (model.decode(z) - x).square().flatten(1).sum(dim=1)
    constant = -model.log_likelihood(x, z) - squared
    torch.testing.assert_close(constant, torch.full((9,), 784 / 2 * math.log(math.pi)))


# The loss


@every_kind
def test_the_loss_is_a_sum_over_pixels_and_units_and_a_mean_over_images(kind, few):
    model, batch = kind(latent_size=5, width=4, beta=3.0, warm_up=0.5), few[:16]
    x = model.observe(batch.images, rng := seeded(4))
    mu, log_var = model.encoder(x).chunk(2, dim=1)
    z = mu + torch.exp(log_var / 2) * torch.randn(16, 5, generator=rng)
    kl = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum() / 16
    distortion = -model.log_likelihood(x, z).sum() / 16
    for progress, beta in ((0.0, 0.0), (0.25, 1.5), (0.5, 3.0), (1.0, 3.0)):
        found = model.loss(batch, seeded(4), progress)
        torch.testing.assert_close(found.value, distortion + beta * kl)
        torch.testing.assert_close(found.terms["neg_elbo"], distortion + kl)
        torch.testing.assert_close(found.terms["distortion"], distortion)
        torch.testing.assert_close(found.terms["kl"], kl)


@every_kind
def test_training_lowers_the_loss_and_the_configuration_builds_the_same_model(kind, few):
    torch.manual_seed(0)
    model = kind(latent_size=4, width=8, beta=0.5, free_bits=0.1, warm_up=0.0, weight_decay=0.5)
    history = fit(model, few, steps=60, batch_size=100, show_bar=False)
    terms = history.terms["neg_elbo"]
    assert terms[-1] < 0.8 * terms[0]
    twin = kind(**model.config)
    twin.load_state_dict(model.state_dict())
    assert (twin.beta, twin.free_bits, twin.warm_up, twin.weight_decay) == (0.5, 0.1, 0.0, 0.5)
    assert twin.players()["model"].weight_decay == 0.5


def test_a_larger_beta_makes_cheaper_codes(few):
    rates = []
    for beta in (0.1, 10.0):
        torch.manual_seed(0)
        model = BernoulliVAE(latent_size=4, width=8, beta=beta)
        rates.append(fit(model, few, steps=60, batch_size=100, show_bar=False).terms["kl"][-1])
    assert rates[1] < 0.5 * rates[0]


def test_what_is_below_the_free_bits_costs_the_same_and_is_not_pushed_further_down(few):
    model = BernoulliVAE(latent_size=5, width=4, free_bits=100.0, warm_up=0.0)
    found = model.loss(few[:16], seeded(), 1.0)
    torch.testing.assert_close(found.value, found.terms["distortion"] + 5 * 100.0)
    found.value.backward()
    plain = BernoulliVAE(latent_size=5, width=4, warm_up=0.0).loss(few[:16], seeded(), 1.0)
    assert plain.value < found.value
    gradient = model.encoder[-1].weight.grad.clone()
    model.zero_grad()
    model.loss(few[:16], seeded(), 1.0).terms["distortion"].backward()
    torch.testing.assert_close(gradient, model.encoder[-1].weight.grad)


# The bounds, against a model whose likelihood is known


@pytest.fixture
def linear() -> tuple[GaussianVAE, MultivariateNormal]:
    """y = W z with orthogonal columns: p(x) and the posterior, a diagonal one, are closed forms."""
    model = GaussianVAE(image_shape=(1, 4, 4), latent_size=2, width=1)
    w = torch.linalg.qr(torch.randn(16, 2, generator=seeded())).Q * torch.tensor([2.0, 0.7])
    variance = (2 * model.log_sigma_x).exp().item()
    length = w.square().sum(dim=0)  # (2,)
    model.decoder = nn.Sequential(nn.Linear(2, 16, bias=False), nn.Unflatten(1, (1, 4, 4)))
    model.encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    with torch.no_grad():
        model.decoder[0].weight.copy_(w)
        model.encoder[1].weight.zero_()
        model.encoder[1].weight[:2] = (w / (length + variance)).T
        model.encoder[1].bias[:2] = 0
        model.encoder[1].bias[2:] = (variance / (length + variance)).log()
    p = MultivariateNormal(torch.zeros(16), w @ w.T + variance * torch.eye(16))
    return model, p


def test_a_bound_from_no_code_at_all_is_refused(linear):
    with pytest.raises(InputError, match="samples is 0"):
        linear[0].importance_weighted(torch.zeros(2, 1, 4, 4), samples=0)


def test_with_the_exact_posterior_both_bounds_are_the_likelihood(linear, rng):
    model, p = linear
    with torch.no_grad():
        x = p.sample((50,)).reshape(-1, 1, 4, 4)
        exact = p.log_prob(x.flatten(1))
        torch.testing.assert_close(model.importance_weighted(x, 1, rng), exact)
        elbo = torch.stack([model.elbo(x, rng).value for _ in range(3_000)])
    error = elbo.std(dim=0) / math.sqrt(len(elbo))
    assert ((elbo.mean(dim=0) - exact).abs() < 5 * error).all()


def test_with_a_wrong_posterior_more_codes_make_a_tighter_bound(linear, rng):
    model, p = linear
    with torch.no_grad():
        model.encoder[1].bias[:2] += 0.5
        x = p.sample((400,)).reshape(-1, 1, 4, 4)
        exact = p.log_prob(x.flatten(1)).mean()
        elbo = torch.stack([model.elbo(x, rng).value for _ in range(200)]).mean()
        five, many = (model.importance_weighted(x, s, rng).mean() for s in (5, 2_000))
    assert elbo < five < many
    assert many.item() == pytest.approx(exact.item(), abs=0.05)
    assert elbo.item() < exact.item() - 0.3


def test_the_two_bounds_of_a_table_are_those_of_the_model(linear):
    model, p = linear
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = p.sample((3_000,)).reshape(-1, 1, 4, 4)
    exact = -p.log_prob(x.flatten(1)).mean().item()
    bounds = likelihood_bounds(model, x, samples=3)
    assert bounds.neg_importance_weighted == pytest.approx(exact, abs=0.1)
    assert bounds.neg_elbo == pytest.approx(exact, abs=0.1)
    assert bounds == likelihood_bounds(model, x, samples=3)
    assert bounds != likelihood_bounds(model, x, samples=3, seed=1)


# Sampling, reconstruction, tables


@every_kind
def test_samples_are_decoded_draws_from_the_prior_and_repeat_with_their_seed(kind):
    torch.manual_seed(0)
    model = kind(latent_size=3, width=4)
    expected = model.decode(torch.randn(5, 3, generator=seeded(2)))
    assert torch.equal(model.sample(5, seeded(2)), expected)
    assert not torch.equal(model.sample(5, seeded(3)), expected)
    assert not model.sample(5).requires_grad


def test_the_code_of_an_image_is_the_mean_of_its_distribution_once_observed(few):
    model, x = BernoulliVAE(latent_size=3, width=4), few.x[:4]
    assert torch.equal(model.encode(x[:1]), model.posterior(model.observe(x[:1], seeded(0))).mu)
    black_and_white = binarise(x, seeded(5))
    assert torch.equal(model.encode(black_and_white), model.posterior(black_and_white).mu)
    assert model.reconstruct(x).abs().max() <= 1


@pytest.mark.slow
def test_a_vae_is_evaluated_as_decoder_sampler_and_likelihood(fashion, monkeypatch):
    monkeypatch.setattr("gen_lib.models.vae.N_GAP", 20)
    data = ImageSet("few", fashion.train.subset(300), fashion.test.subset(200), fashion.classes)
    torch.manual_seed(0)
    model = BernoulliVAE(width=4)
    fit(model, data.train, steps=60, show_bar=False)
    rows = {row.name: row for row in evaluate(model, data, n=200)}
    assert {"mse", "neg_elbo", "frechet"} <= set(rows)
    assert rows["neg_elbo"].beside["importance_weighted"] < rows["neg_elbo"].value
    assert rows["frechet"].beside["floor"] < rows["frechet"].value


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"latent_size": 0}, "latent_size"),
        ({"beta": -1.0}, "beta"),
        ({"beta": math.nan}, "beta"),
        ({"free_bits": -0.1}, "free_bits"),
        ({"free_bits": math.inf}, "free_bits"),
        ({"warm_up": 1.0}, "warm_up"),
        ({"warm_up": -0.1}, "warm_up"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"image_shape": (1, 30, 30)}, "multiples"),
    ],
)
def test_senseless_settings_are_refused_in_one_sentence(settings, word):
    for kind in KINDS:
        with pytest.raises(InputError, match=word):
            kind(**settings)


# Units and images


def test_a_unit_is_active_where_its_mean_varies():
    mu = torch.tensor([[0.0, 1.0, -0.5], [0.05, 1.0, 0.5]])
    assert active_units(mu).tolist() == [False, False, True]


@pytest.mark.parametrize("kind", [BernoulliVAE, GaussianVAE])
def test_a_code_belongs_to_its_image_not_to_the_images_beside_it(kind, few):
    model = kind(width=4, hidden=8).eval()
    with torch.no_grad():
        together, alone = model.encode(few.x[:9]), model.encode(few.x[4:5])
    torch.testing.assert_close(together[4:5], alone, atol=1e-5, rtol=1e-4)


def test_samples_lie_in_the_range_of_images_however_many():
    model = GaussianVAE(width=4, hidden=8).eval()
    with torch.no_grad():
        model.decoder[-2].bias += 3.0
    x = model.sample(501, torch.Generator().manual_seed(0))
    assert (x.shape, x.max().item()) == ((501, 1, 28, 28), 1.0)


@pytest.mark.parametrize("kind", [BernoulliVAE, GaussianVAE])
def test_images_of_another_size_are_refused(kind):
    with pytest.raises(InputError, match=r"shape \(1, 32, 32\) do not fit"):
        kind(width=4).encode(torch.zeros(1, 1, 32, 32))
