"""Text to image: two parts of a training, hidden sentences, guidance, decoded samples."""

import pytest
import torch

from gen_lib import InputError
from gen_lib.data.people import KINDS, NO_WORD, load_people
from gen_lib.data.people.captions import captions
from gen_lib.data.people.sets import people_set
from gen_lib.data.people.words import NOTHING, PAD, VOCABULARY, encode, nothing
from gen_lib.models import TextToImage
from gen_lib.models.diffusion import DenoisingDiffusion
from gen_lib.training import fit
from gen_lib.training.checkpoints import load, load_pretrained, save

SHAPE = (3, 16, 24)


def small(**config) -> TextToImage:
    torch.manual_seed(0)
    return TextToImage(**{"image_shape": SHAPE, "depth": 2, "width": 8, "blocks": 1} | config)


def scattered(**config) -> TextToImage:
    """A model in eval mode with random weights, which answers to words; codes have any scale."""
    model = small(**config).eval()
    for p in model.net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    model.scale.running_mean += torch.tensor([3.0, -2.0])
    model.scale.running_var *= torch.tensor([4.0, 0.25])
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def few():
    return people_set("sentences").train.subset(64)


@pytest.fixture
def noisy(rng):
    """Codes, their time, and sentences."""
    z = torch.randn(2, 2, 4, 6, generator=rng)
    return z, torch.tensor(0.6), encode(["a red hat", "모자"], 5)


# Training


@pytest.mark.parametrize(
    ("progress", "player", "terms"),
    [
        (0.0, "autoencoder", {"error"}),
        (0.19, "autoencoder", {"error"}),
        (0.2, "diffusion", {"mse"}),
        (1.0, "diffusion", {"mse"}),
    ],
)
def test_each_part_of_a_training_moves_its_own_half(few, progress, player, terms):
    model = small(image_shape=(3, 48, 48)).train()
    (turn,) = model.turns(few.batch(0, 4), torch.Generator().manual_seed(0), progress)
    turn.loss.backward()
    players = {name: set(p.parameters) for name, p in model.players().items()}
    assert set.union(*players.values()) == set(model.parameters())
    moved = {p for p in model.parameters() if p.grad is not None and p.grad.any()}
    assert (turn.player, set(turn.terms)) == (player, terms)
    assert set() < moved <= players[player]


def test_the_autoencoder_minimises_the_mean_absolute_error(rng):
    y, x = torch.rand(2, 2, 3, 8, 8, generator=rng)
    assert small().error(y, x).item() == pytest.approx((y - x).abs().mean().item())


def test_codes_stay_as_they_are_while_diffusion_trains(few):
    model = small(image_shape=(3, 48, 48)).train()
    before = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("net.")}
    list(model.turns(few.batch(0, 8), torch.Generator().manual_seed(0), 0.9))
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_a_short_training_on_few_pictures_lowers_both_losses(few):
    model = small(image_shape=(3, 48, 48), depth=4)
    history = fit(model, few, steps=60, batch_size=8, show_bar=False)
    error, mse = (torch.tensor([v for v in history.terms[k] if v == v]) for k in ("error", "mse"))
    assert (len(error), len(mse)) == (12, 48)
    assert error[-3:].mean() < 0.7 * error[:2].mean()
    assert mse[-12:].mean() < 0.9 * mse[:6].mean()


# Hidden sentences


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_stated_share_of_sentences_is_hidden_and_the_others_stay(share, rng):
    model, n = small(label_dropout=share), 4_000
    sentences = encode(["a red hat", "빨간 모자를 쓴 사람"] * (n // 2), 5)
    told = model._partly_hidden(sentences, rng)
    hidden = (told == nothing(sentences)).all(dim=1)
    assert abs(hidden.float().mean() - share) <= 5 * (share * (1 - share) / n) ** 0.5
    assert torch.equal(told[~hidden], sentences[~hidden])
    assert told[hidden].unique().tolist() == ([PAD, NOTHING] if share else [])


def test_what_training_hides_is_what_the_network_reads_without_a_sentence(noisy):
    (z, t, sentences), model = noisy, scattered(label_dropout=0.999_999)
    told = model._partly_hidden(sentences, torch.Generator().manual_seed(0))
    for y, x in zip(model.estimate(z, t, told)[:2], model.estimate(z, t)[:2], strict=True):
        torch.testing.assert_close(y, x)


# Guidance


def test_guidance_0_is_the_estimate_for_the_sentence(noisy):
    (z, t, sentences), model = noisy, scattered()
    found, told = model.denoiser(sentences)(z, t), model.estimate(z, t, sentences)
    assert torch.equal(found.x_0, told.x_0)
    assert torch.equal(found.eps, told.eps)
    assert (told.x_0 - model.estimate(z, t).x_0).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("w", [0.5, 2.0])
def test_guidance_leads_away_from_the_estimate_without_words(noisy, w):
    (z, t, sentences), model = noisy, scattered()
    told, silent = model.estimate(z, t, sentences), model.estimate(z, t)
    found = model.denoiser(sentences, w)(z, t)
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(found.x_0, told.x_0 + w * (told.x_0 - silent.x_0), **close)
    torch.testing.assert_close(found.eps, told.eps + w * (told.eps - silent.eps), **close)


def test_guidance_of_the_sentence_that_says_nothing_does_nothing(noisy):
    (z, t, sentences), model = noisy, scattered()
    found = model.denoiser(nothing(sentences), 3.0)(z, t)
    torch.testing.assert_close(found.x_0, model.estimate(z, t).x_0, rtol=1e-3, atol=1e-3)


# Codes and samples


def test_codes_are_scaled_to_mean_0_and_variance_1(few):
    model = small(image_shape=(3, 48, 48)).train()
    with torch.no_grad():
        z = model.encode(few.x)
    assert z.shape == (64, 2, 12, 12)
    torch.testing.assert_close(z.mean((0, 2, 3)), torch.zeros(2), rtol=0, atol=1e-4)
    torch.testing.assert_close(z.var((0, 2, 3)), torch.ones(2), rtol=0, atol=1e-2)


def test_a_trained_scale_is_used_as_it_is(rng):
    model, x = scattered(), torch.rand(3, *SHAPE, generator=rng)
    shift, spread = torch.tensor([3.0, -2.0]), torch.tensor([2.0, 0.5])
    expected = (model.encoder(x) - shift[:, None, None]) / spread[:, None, None]
    torch.testing.assert_close(model.encode(x), expected, rtol=1e-4, atol=1e-4)


def test_samples_are_decoded_samples_of_codes(noisy):
    sentences, model = noisy[2], scattered()
    options = {"labels": sentences, "guidance": 1.0, "calls": 6}
    codes = DenoisingDiffusion.sample(model, 2, torch.Generator().manual_seed(3), **options)
    y = model.sample(2, torch.Generator().manual_seed(3), **options)
    assert codes.shape == (2, 2, 4, 6)
    assert torch.equal(y, model.decode(codes).clamp(-1, 1))
    silent = model.sample(2, torch.Generator().manual_seed(3), calls=6)
    assert (y - silent).abs().amax((1, 2, 3)).min() > 1e-3


def test_saved_and_loaded_it_draws_the_same(tmp_path, noisy):
    model = scattered(attends=False, label_dropout=0.25)
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors", TextToImage)
    assert again.config == model.config
    assert (again.net.attends, again.label_dropout, again.known) == (False, 0.25, len(VOCABULARY))
    y, same = (
        m.sample(2, torch.Generator().manual_seed(0), labels=noisy[2], calls=4)
        for m in (model, again)
    )
    assert torch.equal(y, same)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"image_shape": (3, 30, 24)}, "multiples of 4"),
        ({"image_shape": (3, 20, 24)}, "multiples of 8"),
        ({"depth": 0}, "depth"),
        ({"width": 12}, "multiple of 8"),
        ({"blocks": 0}, "blocks"),
        ({"label_dropout": 1.0}, "label_dropout"),
    ],
)
def test_a_setting_out_of_range_is_named(config, words):
    with pytest.raises(InputError, match=words):
        TextToImage(**config)


# Editing


@pytest.fixture
def pictures(rng):
    return torch.rand(2, *SHAPE, generator=rng) * 2 - 1, encode(["a red hat", "a green coat"], 5)


def test_an_edit_keeps_what_the_mask_keeps_and_draws_the_rest(pictures):
    (x, c), model = pictures, scattered()
    mask = torch.zeros(2, 1, *SHAPE[1:], dtype=torch.bool)
    mask[:, :, 5:11, 6:15] = True
    y = model.edit(x, c, torch.Generator().manual_seed(0), mask=mask, calls=6)
    outside = ~mask.expand_as(x)
    assert torch.equal(y[outside], x[outside])
    assert (y - x)[mask.expand_as(x)].abs().mean() > 0.1


def test_a_known_cell_ends_at_its_own_code(pictures, monkeypatch):
    (x, c), model = pictures, scattered()
    mask = torch.zeros(2, 1, *SHAPE[1:], dtype=torch.bool)
    mask[:, :, 5:7, 6:7] = True  # of the cell in row 1 and column 1 alone
    decoded = []
    monkeypatch.setattr(model, "decode", lambda z: decoded.append(z) or torch.zeros(2, *SHAPE))
    model.edit(x, c, torch.Generator().manual_seed(0), mask=mask, calls=6)
    same = (decoded[-1] - model.encode(x)).abs().amax(dim=1) < 1e-5
    assert not same[:, 1, 1].any()
    assert same.sum() == same.numel() - 2


def test_a_weak_edit_comes_near_the_reconstruction_and_a_strong_one_does_not(pictures):
    (x, c), model = pictures, scattered()
    kept = model.reconstruct(x).clamp(-1, 1)
    off = {
        strength: (model.edit(x, c, torch.Generator().manual_seed(0), strength=strength) - kept)
        for strength in (1e-3, 1.0)
    }
    assert off[1e-3].abs().mean() < 0.01
    assert off[1.0].abs().mean() > 0.1


@pytest.mark.parametrize("strength", [0, -0.5, 1.5, float("nan")])
def test_a_strength_out_of_range_is_named(pictures, strength):
    with pytest.raises(InputError, match="strength is"):
        scattered().edit(*pictures, strength=strength)


def test_pictures_of_another_shape_are_refused(pictures):
    with pytest.raises(InputError, match="do not fit"):
        scattered().edit(pictures[0][:, :, :8], pictures[1])


# The shipped weights


def test_the_shipped_model_draws_another_picture_for_another_sentence():
    model = load_pretrained("text-to-image", TextToImage)
    labels = encode(["a person on a white background", "a person on a green background"])
    rng = torch.Generator().manual_seed(0)
    white, green = model.sample(2, rng, labels=labels, guidance=2.0)[:, :, :3, :3].mean((2, 3))
    assert white.min() > 0.8
    assert green[1] > green[[0, 2]].max() + 0.1


@pytest.mark.slow
def test_the_shipped_model_dresses_people_better_than_copying_them():
    model, outfits = load_pretrained("text-to-image", TextToImage), load_people().outfits
    before, after, mask = outfits.before.x[:16], outfits.after.x[:16], outfits.clothes[:16]
    kinds = [list(KINDS).index(kind) for kind in ("outfit", "outfit colour")]
    only_clothes = torch.full_like(outfits.after.attributes[:16], NO_WORD)
    only_clothes[:, kinds] = outfits.after.attributes[:16, kinds]
    rng = torch.Generator().manual_seed(0)
    c = encode(captions(only_clothes, "en", rng, least=1.0).texts)
    y = model.edit(before, c, rng, mask=mask)

    def decibels(x):
        return 10 * torch.log10(4 / (x - after)[mask.expand_as(x)].square().mean())

    assert decibels(y) > decibels(before) + 6
