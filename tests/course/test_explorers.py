"""Widgets without a browser: moving a control updates the picture, the text, other controls."""

import io
from base64 import b64decode
from functools import cache

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image

from gen_course.ch00_start_here.explorers import POINTS, KernelExplorer, fit, log_density
from gen_course.ch01_autoencoders.explorers import LatentExplorer
from gen_course.ch02_sparse_denoising_masked.explorers import (
    LambdaExplorer,
    MaskExplorer,
    NoiseExplorer,
)
from gen_course.ch03_vae.explorers import (
    BetaExplorer,
    BoundExplorer,
    PriorExplorer,
    UnitsExplorer,
    WayExplorer,
)
from gen_course.ch04_gan.explorers import (
    CollapseLab,
    Film,
    LatentWalk,
    TrainingScrubber,
    load_films,
)
from gen_course.ch05_cyclegan.explorers import MixerExplorer, TranslatorExplorer, there_and_back
from gen_course.ch06_diffusion.explorers import (
    FieldExplorer,
    GuidanceExplorer,
    ReverseScrubber,
    ScheduleExplorer,
    recorded,
)
from gen_course.ch07_comparison.explorers import ChoiceExplorer, ChoiceState
from gen_course.ch08_words_to_pictures.explorers import (
    ENDS,
    HAIR,
    SUGGESTED,
    BetweenExplorer,
    FewStepsExplorer,
    FewStepsState,
    PromptExplorer,
    TryOnExplorer,
    sentence,
)
from gen_course.ch09_one_token_after_another.explorers import (
    OWN,
    AskTheCourse,
    NextTokenExplorer,
    Page,
    PianoRoll,
    TemperatureExplorer,
    from_grid,
    label,
)
from gen_course.ch09_one_token_after_another.music import notes_of
from gen_course.common.canvas import TEXT, Canvas, png
from gen_course.common.explorer import HEIGHT, WIDTH
from gen_course.common.live_caption import LiveCaption
from gen_course.common.pad import Pad, Patches
from gen_course.common.still import still
from gen_lib import InputError
from gen_lib.data import ImageSet, Split, load_pairs, load_toy
from gen_lib.data.people import KINDS as PEOPLE_KINDS
from gen_lib.data.people import load_people
from gen_lib.data.people.words import encode, parse
from gen_lib.data.text import Tokeniser, learn_pieces, load_text
from gen_lib.data.toys import modes
from gen_lib.data.tunes import load_tunes
from gen_lib.metrics import psnr
from gen_lib.models import (
    GAN,
    GPT,
    AttributeJudge,
    BernoulliVAE,
    DeepAutoencoder,
    DenoisingAutoencoder,
    Diffusion,
    Judge,
    MaskedAutoencoder,
    SparseAutoencoder,
    TextToImage,
)
from gen_lib.models.base import Translates
from gen_lib.models.diffusion import PlaneDiffusion
from gen_lib.samplers import DDIM, Heun
from gen_lib.schedules import cosine
from gen_lib.training import NonFiniteLoss


@pytest.fixture(scope="module")
def images(fashion) -> ImageSet:
    return ImageSet("few", fashion.train.subset(20), fashion.test.subset(300), fashion.classes)


def latent(images):
    return LatentExplorer(DeepAutoencoder(latent_size=2).eval(), images)


def price(images):
    return LambdaExplorer(
        {k: SparseAutoencoder(sparsity=k).eval() for k in (1.0, 0.0, 0.1)}, images
    )


def noise(images):
    return NoiseExplorer(DenoisingAutoencoder(width=4).eval(), images)


def mask(images):
    return MaskExplorer(MaskedAutoencoder(width=16, depth=1).eval(), images)


def kernels(images):
    return KernelExplorer()


def bound(images):
    return BoundExplorer()


def prior(images):
    return PriorExplorer(BernoulliVAE(latent_size=2, width=4).eval(), images)


def units(images):
    return UnitsExplorer(BernoulliVAE(latent_size=6, width=4).eval(), images)


def way(images):
    return WayExplorer(BernoulliVAE(width=4).eval(), images, Judge().eval())


def beta(images):
    return BetaExplorer({k: BernoulliVAE(width=4, beta=k).eval() for k in (4.0, 1.0)}, images)


def film(images):
    rng, frames = np.random.default_rng(0), 12
    games = {
        name: Film(
            np.arange(frames),
            rng.integers(0, 256, (frames, 8, 8)).astype(np.uint8),
            (radius * load_toy("eight_gaussians").sample(frames * 50).numpy()).reshape(-1, 50, 2),
            rng.normal(size=(frames, 10, 2)),
            rng.normal(size=(frames, 2)),
        )
        for name, radius in (("good", 1.0), ("bad", 0.5))
    }
    return TrainingScrubber(games)


def walk(images):
    return LatentWalk(GAN(width=4, latent_size=8).eval())


def collapse(images):
    return CollapseLab(last=40, batch_size=16)


@cache
def pairs(name):
    return load_pairs(name)


def translating(images):
    model = Plus(0.5, -0.25)
    return TranslatorExplorer(
        {"seasons": model, "emoji": model}, {name: pairs(name) for name in ("seasons", "emoji")}
    )


def mixer(images):
    weights = [(c, i) for c in (10.0, 0.0) for i in (1.0, 5.0)]
    return MixerExplorer({(c, i): Plus(c / 10, -i / 10) for c, i in weights}, pairs("seasons"))


class Plus(Translates):
    """A translator that adds one number towards B and another one towards A."""

    def __init__(self, to_b, to_a):
        self.add = {"A": to_a, "B": to_b}

    def translate(self, x, to):
        return x + self.add[to]


def schedule(images):
    return ScheduleExplorer(images)


def reverse(images):
    """Two reverse processes of a network that was never trained."""
    model = Diffusion(width=8, blocks=1).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ways = {"Heun": Heun(model.schedule), "DDIM": DDIM(model.schedule)}
    seeded = torch.Generator().manual_seed
    return ReverseScrubber(
        {
            name: recorded(model.states(4, seeded(0), sampler=sampler, calls=10))
            for name, sampler in ways.items()
        }
    )


def field(images):
    return FieldExplorer(PlaneDiffusion(width=16).eval())


def guidance(images):
    """Guidance with a network that was never trained, whose output depends on the label."""
    model = Diffusion(width=8, blocks=1, conditional=True).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return GuidanceExplorer(model, Judge().eval(), images.classes)


def choosing(images):
    """Two made-up families, each better at two things; a third one has only a longer run."""
    columns = ("family", "seed", "budget", "precision", "frechet", "seconds_1000", "recall")
    runs = ("good 0 20 0.8 1 20 0.6", "good 1 20 0.8 3 20 0.6", "quick 0 20 0.6 3 0.1 0.5")
    runs += ("quick 1 20 0.6 3.1 0.1 0.5", "late 0 180 0.9 1 1 0.9", "quick 0 180 0.6 3 0.1 0.5")
    return ChoiceExplorer([dict(zip(columns, run.split(), strict=True)) for run in runs])


@cache
def reader(of="parameters"):
    """A small text-to-image model that was never trained, whose output depends on the words."""
    torch.manual_seed(0)
    model = TextToImage(width=8, blocks=1).eval()
    for parameter in model.parameters() if of == "parameters" else model.net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.normal_(model.net.words.table.weight, std=3)
    return model


@cache
def seer():
    """A judge that was never trained, whose answers depend on every pixel."""
    torch.manual_seed(0)
    judge = AttributeJudge(width=8).eval()
    torch.nn.init.normal_(judge.body[-1].weight, std=5)
    return judge


def prompting(images):
    return PromptExplorer(reader(), seer())


def try_on(images):
    return TryOnExplorer(reader("net"), seer())


def few_steps(images):
    return FewStepsExplorer(reader(), reader(), seer())


def between(images):
    return BetweenExplorer(reader(), seer())


PROSE = "It is a truth universally acknowledged, that a single man is in want of a wife.\n"


@cache
def writers():
    """Four small models of text that were never trained, and whose output depends on the text."""
    of = {name: load_text(name).tokeniser for name in ("names", "korean", "tunes")}
    of = {"austen": Tokeniser("pieces", learn_pieces(PROSE * 3, 60))} | of
    torch.manual_seed(0)
    found = {}
    for name, tokeniser in of.items():
        lines, alphabet = name != "austen", "\t".join(tokeniser.tokens)
        sizes = {"context": 48, "width": 32, "layers": 3, "heads": 4}
        found[name] = GPT(alphabet, tokeniser.unit, lines, **sizes).eval()
        for parameter in found[name].parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return found


def next_token(images):
    return NextTokenExplorer(writers())


def bold(images):
    return TemperatureExplorer(writers())


def piano(images):
    return PianoRoll(writers()["tunes"])


def asking(images):
    return AskTheCourse()


KINDS = (latent, price, noise, mask, kernels, prior, units, way, beta, film, walk, collapse)
KINDS += (bound, schedule, reverse, field, guidance, translating, mixer, choosing)
KINDS += (prompting, try_on, few_steps, between)
KINDS += (next_token, bold, piano, asking)
MOVES = [
    *((latent, name, value) for name, value in dict(first=5, second=5, position=0.5).items()),
    (latent, "z1", 0.03),
    (latent, "z2", 0.03),
    (price, "sparsity", 1.0),
    (price, "image", 3),
    (noise, "level", 0.1),
    (noise, "kind", "black pixels"),
    (noise, "image", 3),
    (noise, "draw", 1),
    (mask, "ratio", 0.2),
    (mask, "draw", 3),
    (mask, "image", 3),
    (mask, "hidden", [0, 1, 2]),
    (kernels, "width", 0.2),
    (kernels, "points", 50),
    (kernels, "source", "checkerboard"),
    (kernels, "draw", 1),
    (bound, "x", "in the middle"),
    (bound, "m", 1.0),
    (bound, "s", 1.2),
    (prior, "z1", 1.0),
    (prior, "z2", -1.0),
    (units, "start", "draw from the prior"),
    (units, "number", 3),
    *((units, f"u{i}", 2.0) for i in range(1, 6)),
    (way, "first", 5),
    (way, "second", 5),
    (way, "kind", "on an arc"),
    (way, "position", 0.2),
    (beta, "beta", 4.0),
    (beta, "image", 3),
    (beta, "draw", 1),
    (film, "game", "bad"),
    (film, "frame", 3),
    *((walk, name, value) for name, value in dict(start=5, end=5, position=0.5).items()),
    (walk, "unit", 3),
    (walk, "shift", 2.0),
    *((collapse, name, value) for name, value in dict(loss="hinge", ratio="G 5 : D 1").items()),
    *((collapse, name, value) for name, value in dict(rate=2e-4, penalty=0.0, seed=1).items()),
    (translating, "way", "Twemoji to Noto"),
    (translating, "image", 3),
    (translating, "noise", 0.1),
    (mixer, "cycle", 0.0),
    (mixer, "identity", 1.0),
    (mixer, "way", "winter to summer"),
    (mixer, "image", 3),
    *((schedule, name, value) for name, value in dict(schedule="cosine", T=100).items()),
    *((schedule, name, value) for name, value in dict(beta_T=0.05, time=0.6, image=3).items()),
    (schedule, "draw", 1),
    *((reverse, name, value) for name, value in dict(way="DDIM", done=0.8, seed=1).items()),
    *((field, name, value) for name, value in dict(sampler="DDIM", calls=5, done=0.8).items()),
    (field, "draw", 1),
    *((guidance, name, value) for name, value in dict(label="Bag", weight=5.0, seed=1).items()),
    *((choosing, name, 10) for name in ("quality", "stability", "speed", "diversity")),
    (choosing, "budget", 180.0),
    *((prompting, name, value) for name, value in dict(prompt="안경", word=3, seed=1).items()),
    (prompting, "weight", 4.0),
    *((try_on, name, value) for name, value in dict(person=3, outfit="coat", seed=1).items()),
    (try_on, "colour", "blue"),
    *((few_steps, name, value) for name, value in dict(background="pink", hair="bob").items()),
    *((few_steps, name, value) for name, value in dict(hair_colour="green", calls=7).items()),
    *((few_steps, name, value) for name, value in dict(outfit="coat", seed=1).items()),
    (few_steps, "outfit_colour", "blue"),
    (few_steps, "beside", "the model, 40 calls"),
    *((between, name, value) for name, value in dict(at_0=ENDS[2], s=0.8, seed=1).items()),
    (between, "at_1", ENDS[3]),
    *((next_token, name, value) for name, value in dict(model="korean", block=2, head=3).items()),
    (next_token, "text", "It is"),
    *((bold, name, value) for name, value in dict(model="tunes", text="O", top_k=2).items()),
    *((bold, name, value) for name, value in dict(temperature=0.5, top_p=0.5, seed=1).items()),
    *((piano, name, value) for name, value in dict(notes=[0, 1, 33], more=64, seed=1).items()),
    (piano, "tune", load_tunes().test[0].name),
    (piano, "temperature", 1.6),
    *((asking, name, value) for name, value in dict(question="steganography", number=1).items()),
]
# controls that choose what is shown
ANOTHER = ("m", "image", "first", "number", "draw", "frame", "start", "seed", "z1", "quality")
ANOTHER += ("head",)
every_explorer = pytest.mark.parametrize("kind", KINDS)


def another(explorer):
    """The control that chooses what is shown."""
    return next(explorer.controls[name] for name in ANOTHER if name in explorer.controls)


@pytest.fixture
def explorer(kind, images):
    torch.manual_seed(0)
    return kind(images)


def shown(explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer.image.value)))


@every_explorer
def test_the_default_is_drawn_at_once_and_in_words(explorer):
    assert (shown(explorer) == explorer.picture(explorer.default)).all()
    assert len(np.unique(shown(explorer))) > 20
    words = explorer.describe(explorer.default)
    assert explorer.image.tooltip == words
    assert 20 < len(words) < 240
    assert words.endswith(".")


@every_explorer
def test_without_a_kernel_its_picture_is_seen_with_a_text(explorer):
    data, metadata = explorer._repr_mimebundle_()
    picture = Image.open(io.BytesIO(b64decode(data["image/png"])))
    width, height = picture.size
    note = metadata["image/png"]["note"]
    below = Image.open(io.BytesIO(still(explorer.box, scale=2)))
    assert picture.crop((0, note, width, height)).tobytes() == below.tobytes()
    assert width >= 2 * explorer.size.width
    assert height > 2 * explorer.size.height + 100  # caption and controls are below
    assert metadata["image/png"]["alt"] == explorer.describe(explorer.default)
    assert data["text/plain"] == f"Widget: {explorer.describe(explorer.default)}"
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize(("kind", "name", "value"), MOVES)
def test_a_control_moves_the_picture_and_reset_brings_it_back(explorer, name, value):
    before, words = explorer.image.value, explorer.image.tooltip
    explorer.controls[name].value = value
    assert explorer.image.value != before
    assert (shown(explorer) == explorer.picture(explorer.state)).all()
    assert explorer.image.tooltip == explorer.describe(explorer.state)
    assert name == "draw" or explorer.image.tooltip != words
    explorer.reset_button.click()
    assert explorer.state == explorer.default
    assert (explorer.image.value, explorer.image.tooltip) == (before, words)


@every_explorer
def test_every_control_is_moved_above(kind, explorer):
    moved = {name for moves, name, _ in MOVES if moves is kind}
    assert set(explorer.controls) - moved <= {"frame"}  # that of a live game


@every_explorer
def test_every_control_has_a_description(explorer):
    for control in explorer.controls.values():
        assert getattr(control, "description", "") or control.label
    assert explorer.reset_button.description


@every_explorer
def test_it_fits_the_page_and_keeps_its_size(explorer):
    assert WIDTH <= 960
    assert HEIGHT <= 600
    height, width = shown(explorer).shape[:2]
    assert (width, height) == tuple(2 * side for side in explorer.size)
    assert explorer.image.layout.width == f"{explorer.size.width}px"
    assert explorer.size.width <= WIDTH
    another(explorer).value = 1
    assert shown(explorer).shape == (height, width, 3)


@every_explorer
def test_the_picture_is_a_pure_function_of_the_state(explorer):
    first = explorer.picture(explorer.default)
    another(explorer).value = 1
    assert (explorer.picture(explorer.default) == first).all()


@every_explorer
def test_what_goes_wrong_is_said_in_words(explorer, monkeypatch):
    control = another(explorer)

    def fail(state):
        raise InputError("The model is made of <cheese>.")

    with monkeypatch.context() as patch:
        patch.setattr(explorer, "picture", fail)
        control.value = 1
        assert explorer.image.tooltip == "The model is made of <cheese>."
        assert explorer.caption.text == explorer.image.tooltip
        assert explorer.caption.warning
        assert len(np.unique(shown(explorer))) > 5
        patch.setattr(explorer, "picture", lambda state: 1 / 0)
        control.value = 2
        assert "division by zero" in explorer.caption.text
    control.value = 0
    assert "cheese" not in explorer.caption.text
    assert not explorer.caption.warning


@every_explorer
def test_it_is_as_fine_as_the_screen(explorer):
    fine, words = shown(explorer), explorer.image.tooltip
    explorer.caption.set_state({"density": 1})  # as the page does
    coarse = shown(explorer)
    assert coarse.shape[:2] == explorer.size[::-1]
    smoothed = Image.fromarray(fine).reduce(2)
    assert np.abs(np.asarray(smoothed, dtype=float) - coarse).mean() < 6
    assert explorer.image.tooltip == words
    explorer.caption.set_state({"density": 2})
    assert (shown(explorer) == fine).all()


@every_explorer
def test_its_sliders_stand_on_their_steps(explorer):
    for control in explorer.controls.values():
        if isinstance(control, widgets.FloatSlider):
            control.value = control.min + 2.3 * control.step
            assert control.value == pytest.approx(control.min + 2 * control.step)
            for end in (control.min, control.max):
                control.value = end
                assert control.value == end


def test_pad_and_sliders_are_in_step(images):
    explorer = latent(images)
    explorer.pad.set_state({"x": 0.25, "y": 0.75})  # as the browser does
    for name, at, low, high in zip(
        ("z1", "z2"), (0.25, 0.75), explorer.low, explorer.high, strict=True
    ):
        place, half = low + at * (high - low), explorer.step / 2
        assert explorer.controls[name].value == pytest.approx(place, abs=1.001 * half)
    assert explorer.state[:2] == (explorer.controls["z1"].value, explorer.controls["z2"].value)
    explorer.controls["z1"].value = explorer.high[0]
    assert (explorer.pad.x, explorer.pad.y) == pytest.approx((1.0, 0.75), abs=0.01)
    assert f"{explorer.high[0]:.2f}" in explorer.pad.words


def test_the_pad_draws_once_for_a_move_in_both_directions(images, monkeypatch):
    explorer, drawn = latent(images), []
    picture = explorer.picture
    monkeypatch.setattr(explorer, "picture", lambda state: drawn.append(state) or picture(state))
    explorer.pad.set_state({"x": 0.1, "y": 0.2})
    assert len(drawn) == 1


@pytest.mark.parametrize("name", ["first", "z1"])
def test_the_page_gets_the_picture_before_what_follows_it(images, monkeypatch, name):
    explorer, sent = latent(images), []
    monkeypatch.setattr(widgets.Widget, "_send", lambda self, *_, **__: sent.append(self))
    explorer.controls[name].value = explorer.controls[name].max
    moved = [explorer.pad, *(explorer.controls[z] for z in ("z1", "z2") if name == "first")]
    assert all(sent.index(explorer.image) < sent.index(widget) for widget in moved)


def test_the_way_leads_from_one_image_to_the_other(images):
    explorer = latent(images)
    explorer.controls["first"].value, explorer.controls["second"].value = 4, 9
    for position, image in ((0.0, 4), (1.0, 9)):
        explorer.controls["position"].value = position
        half = explorer.step / 2
        assert explorer.state[:2] == pytest.approx(explorer.codes[image].tolist(), abs=1.001 * half)
        assert images.classes[images.test.labels[image]] in explorer.image.tooltip
    assert explorer.pad.path[1] == pytest.approx((explorer.pad.x, explorer.pad.y), abs=0.01)


def test_a_code_of_more_than_two_numbers_has_no_map(images):
    with pytest.raises(InputError, match="has 16 numbers"):
        LatentExplorer(DeepAutoencoder(latent_size=16), images)


def test_a_higher_price_shows_fewer_units(images):
    explorer = price(images)
    assert list(explorer.models) == [0.0, 0.1, 1.0]
    assert "units are active" in explorer.image.tooltip


def test_no_noise_leaves_the_image(images):
    explorer = noise(images)
    explorer.controls["level"].value = 0.0
    assert "∞ dB" in explorer.image.tooltip
    clean, noised, _ = explorer.run(explorer.state)
    assert torch.equal(clean, noised)


def test_a_stronger_noise_is_the_same_noise(images):
    explorer = noise(images)
    (x, a, _), (_, b, _) = (
        explorer.run(explorer.default._replace(level=level)) for level in (0.2, 0.4)
    )
    assert torch.allclose(2 * (a - x), b - x, atol=1e-6)


def test_a_larger_ratio_hides_the_same_patches_and_more(images):
    explorer = mask(images)
    few, many = explorer.drawn(0.2, 1), explorer.drawn(0.6, 1)
    assert set(few) < set(many)
    assert len(many) == 29


def test_visible_patches_stay_and_hidden_ones_are_predicted(images):
    explorer = mask(images)
    y = explorer.predict(explorer.default._replace(hidden=(0,)))
    x = explorer.x[0]
    assert torch.equal(y[:, 4:], x[:, 4:])
    assert torch.equal(y[:, :4, 4:], x[:, :4, 4:])
    assert not torch.equal(y[:, :4, :4], x[:, :4, :4])


def test_nothing_visible_and_nothing_hidden_are_said_in_words(images):
    explorer = mask(images)
    explorer.patches.value = list(range(49))
    assert "nothing to predict from" in explorer.image.tooltip
    explorer.patches.value = []
    assert "nothing is predicted" in explorer.image.tooltip
    assert torch.equal(explorer.predict(explorer.state), explorer.x[0])


def test_the_picture_of_the_patches_follows(images):
    explorer = mask(images)
    before = explorer.patches.background
    explorer.patches.value = [3]
    assert explorer.patches.background != before
    explorer.controls["ratio"].value = 0.5
    assert len(explorer.patches.value) == 24


def test_a_kernel_density_is_a_gaussian_on_every_training_point():
    model, seen, held_out, ceiling = fit(KernelExplorer().default)
    x = torch.tensor([[2.0, 0.1], [0.0, 0.0]])  # among the data, and far from all of them
    kernels = torch.distributions.Normal(model.means.double(), model.sigma)
    density = kernels.log_prob(x[:, None]).sum(dim=2).exp().mean(dim=1)
    assert torch.allclose(model.log_prob(x), density.log().float(), rtol=1e-4)
    assert (len(seen), len(held_out)) == (POINTS[-1], 1_000)
    assert held_out.mean() < ceiling


def test_the_map_is_the_density_of_the_model_upside_up():
    model = fit(KernelExplorer().default._replace(points=10, width=0.3)).model
    side = 40
    middle = (torch.arange(side) + 0.5) * 6 / side - 3
    x = torch.stack(torch.meshgrid(middle, -middle, indexing="xy"), dim=-1).reshape(-1, 2)
    right = model.log_prob(x).reshape(side, side)
    near = right > -60
    assert torch.allclose(log_density(model, side)[near], right[near], atol=1e-3)


def test_fewer_points_are_the_first_of_the_same_draw_and_no_draw_is_the_held_out_one():
    few, many = (fit(KernelExplorer().default._replace(points=n)).model.means for n in (25, 400))
    assert torch.equal(few, many[:25])
    x = load_toy("eight_gaussians").sample(4_000, torch.Generator().manual_seed(2))[:1_000]
    for draw in range(10):
        train = fit(KernelExplorer().default._replace(draw=draw)).model.means
        assert torch.cdist(train, x, compute_mode="donot_use_mm_for_euclid_dist").min() > 0


def test_narrow_kernels_win_on_their_own_points_only():
    narrow, good = (fit(KernelExplorer().default._replace(width=w)) for w in (0.01, 0.03))
    assert narrow.seen.mean() > good.seen.mean() > good.ceiling - 0.2
    assert narrow.held_out.mean() < good.held_out.mean() - 0.5


def test_the_pad_of_a_prior_and_its_sliders_are_in_step(images):
    explorer = prior(images)
    assert (explorer.pad.x, explorer.pad.y) == (0.5, 0.5)
    explorer.pad.set_state({"x": 0.25, "y": 1.0})
    assert explorer.state == pytest.approx((-2.0, 4.0))
    explorer.controls["z2"].value = 0.0
    assert (explorer.pad.x, explorer.pad.y) == pytest.approx((0.25, 0.5))


def test_the_densities_of_a_pad_are_those_of_torch(images):
    explorer, z = prior(images), torch.tensor([[0.5, -0.3]])
    with torch.no_grad():
        normals = torch.distributions.Normal(explorer.q.mu, (explorer.q.log_var / 2).exp())
        aggregated = normals.log_prob(z).sum(dim=1).exp().mean().item()
        p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum().exp().item()
    assert explorer._densities(z) == pytest.approx((p, aggregated), rel=1e-3)


def test_units_are_the_most_expensive_ones_and_the_others_stay_at_the_start(images):
    explorer = units(images)
    kl = explorer.kl.tolist()
    assert [kl[k] for k in explorer.units] == sorted(kl, reverse=True)[:5]
    explorer.controls["u2"].value = 3.0
    z, start = explorer.code(explorer.state), explorer.codes["test image"][0]
    assert z[explorer.units[1]] == 3.0
    changed = (z - start).abs() > 0.06  # sliders go in steps
    assert changed.nonzero().flatten().tolist() == [explorer.units[1]]


def test_both_ways_lead_from_one_image_to_the_other(images):
    explorer = way(images)
    for kind in explorer.ways:
        ends = explorer.strip(0, 2, kind).images[[0, -1]]
        with torch.no_grad():
            expected = explorer.model.decode(explorer.codes[[0, 2]])
        torch.testing.assert_close(ends, expected, atol=1e-5, rtol=1e-4)


def test_explorers_of_codes_refuse_codes_of_another_size(images):
    with pytest.raises(InputError, match="has 16 numbers"):
        PriorExplorer(BernoulliVAE(width=4), images)
    with pytest.raises(InputError, match="has 3 units"):
        UnitsExplorer(BernoulliVAE(latent_size=3, width=4), images)


def test_pad_and_patches_are_local():
    for widget in (Pad(), Patches(), LiveCaption()):
        assert "export default" in widget._esm
        assert "http" not in widget._esm.replace("http://www.w3.org/2000/svg", "")
        assert "import" not in widget._esm


def test_small_pixels_stay_pixels():
    canvas = Canvas(20, 10)
    x = torch.tensor([[[-1.0, 1.0], [0.0, -1.0]]])
    canvas.image(x, 0, 0, 6)
    block = 3 * canvas.scale
    large = canvas.pixels()[: 2 * block, : 2 * block, 0]
    assert (large == np.kron([[0, 255], [128, 0]], np.ones((block, block)))).all()


@pytest.mark.parametrize("side", [1, 7, 28, 32, 64, 300])
def test_an_image_of_any_side_stays_inside_its_square(side):
    canvas = Canvas(80, 80)
    canvas.image(-torch.ones(3, side, side), 10, 10, 56)
    dark = (canvas.pixels() < 255).any(axis=2)
    rows, columns = dark.any(axis=1).nonzero()[0], dark.any(axis=0).nonzero()[0]
    first, last = 10 * canvas.scale, 66 * canvas.scale - 1
    assert first <= rows[0] <= rows[-1] <= last
    assert first <= columns[0] <= columns[-1] <= last
    assert len(rows) >= 56  # at least half as wide as the square
    assert len(rows) % side == 0 or side > 112


def test_a_png_holds_the_pixels_it_was_made_of():
    picture = np.random.default_rng(0).integers(0, 256, (37, 21, 3), dtype=np.uint8)
    file = Image.open(io.BytesIO(png(picture)))
    assert (file.format, file.mode, file.size) == ("PNG", "RGB", (21, 37))
    assert (np.asarray(file) == picture).all()


def test_dots_lie_where_they_belong():
    canvas = Canvas(40, 20)
    canvas.dots(torch.tensor([[5.0, 8.0]]), 10, 2, "black", radius=2.0)
    row, column = np.nonzero(canvas.pixels()[..., 0] == 0)
    assert (column.mean() / canvas.scale, row.mean() / canvas.scale) == pytest.approx((15, 10))


def test_colours_stay_colours():
    canvas = Canvas(4, 4)
    canvas.image(torch.tensor([1.0, -1.0, 0.0]).reshape(3, 1, 1), 0, 0, 4)
    assert canvas.pixels()[0, 0].tolist() == [255, 0, 128]


def test_text_is_large_enough():
    assert TEXT * 72 / 96 >= 9


def test_a_film_counts_the_modes_of_every_frame(images):
    explorer = film(images)
    explorer.controls["game"].value = "good"
    assert "8 of 8 modes" in explorer.image.tooltip
    explorer.controls["game"].value = "bad"
    assert "0 of 8 modes" in explorer.image.tooltip


def test_playing_a_film_moves_its_frame(images):
    explorer = film(images)
    explorer.player.value = 9
    assert explorer.state.frame == 9


def test_a_missing_film_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_LIB_DATA", str(tmp_path))
    with pytest.raises(InputError, match="missing or damaged"):
        load_films()
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / "gan-plane.npz").write_bytes(b"no film")
    with pytest.raises(InputError, match="missing or damaged"):
        load_films()


def test_the_walk_goes_from_one_code_to_the_other_and_random_chooses_others(images):
    explorer = walk(images)
    for position, end in ((0.0, explorer.codes[4]), (1.0, explorer.codes[9])):
        state = explorer.default._replace(start=4, end=9)
        assert torch.allclose(explorer.code(state, position)[0], end, atol=1e-6)
    shifted = explorer.code(explorer.default._replace(unit=2, shift=1.5), 0.0)[0]
    assert (shifted - explorer.codes[0])[2].item() == pytest.approx(1.5)
    before = explorer.state
    explorer.random_button.click()
    assert explorer.state.start != before.start
    assert explorer.state.end != before.end


def finished(explorer):
    """The laboratory once its game has ended."""
    explorer._thread.join(60)
    assert not explorer.running
    return explorer


def test_a_game_is_played_in_the_background_and_ends(images):
    explorer = collapse(images)
    assert explorer.stop_button.disabled
    explorer.start_button.click()
    finished(explorer)
    assert explorer.moments[-1].step == 40
    assert "Step 40 of 40" in explorer.caption.text
    assert (shown(explorer) == explorer.picture(explorer.state)).all()
    assert explorer.stop_button.disabled
    assert not explorer.start_button.disabled


def test_the_laboratory_is_stopped_and_started_ten_times():
    explorer, threads = CollapseLab(last=10**6, batch_size=16), []
    for _ in range(10):
        explorer.start()
        assert explorer.running
        threads.append(explorer._thread)
        explorer.stop()
        assert not explorer.running
    assert len(set(threads)) == 10
    assert not any(thread.is_alive() for thread in threads)
    assert not explorer.start_button.disabled


def test_starting_again_ends_the_game_before(images):
    explorer = CollapseLab(last=10**6, batch_size=16)
    explorer.start()
    first = explorer._thread
    explorer.controls["loss"].value = "hinge"
    explorer.start()
    assert not first.is_alive()
    assert explorer.rules.startswith("hinge")
    explorer.reset_button.click()
    assert not explorer.running
    assert explorer.moments == []
    assert explorer.state == explorer.default


def test_a_game_repeats_itself_and_the_rules_count(images):
    def samples(**rules):
        explorer = collapse(images)
        for name, value in rules.items():
            explorer.controls[name].value = value
        explorer.start()
        return finished(explorer).moments[-1].scene.samples

    assert torch.equal(samples(), samples())
    for rules in ({"seed": 1}, {"loss": "hinge"}, {"penalty": 1.0}, {"ratio": "G 1 : D 5"}):
        assert not torch.equal(samples(), samples(**rules))


def test_a_game_that_diverges_is_said_in_words(images, monkeypatch):
    def diverge(*args, **kwargs):
        raise NonFiniteLoss("The loss is nan.")
        yield

    monkeypatch.setattr("gen_course.ch04_gan.explorers.training_steps", diverge)
    explorer = collapse(images)
    explorer.start()
    finished(explorer)
    assert explorer.caption.text == "The loss is nan."
    assert not explorer.start_button.disabled


def test_there_and_back_are_the_two_translations_and_noise_comes_between_them():
    explorer = translating(None)
    way = explorer.ends["winter to summer"]
    t = there_and_back(Plus(0.5, -0.25), way, 2)
    torch.testing.assert_close(t.g_x, (way.x[2] - 0.25).clamp(-1, 1))
    torch.testing.assert_close(t.back, (t.g_x + 0.5).clamp(-1, 1))
    assert torch.equal(t.y, pairs("seasons").a.x[10])  # every fifth of 500 pictures is shown
    noised = there_and_back(Plus(0.0, 0.0), way, 2, noise=0.1)
    assert 0.05 < (noised.g_x - way.x[2]).std() < 0.1  # clipped to the range of images
    assert torch.equal(noised.back, noised.g_x)


def test_the_tables_of_the_mixer_are_means_over_the_shown_pictures():
    explorer = mixer(None)
    e = explorer.ends["summer to winter"]
    there, back = explorer.figures[(10.0, 5.0), "summer to winter"]
    assert there == pytest.approx(psnr((e.x + 1).clamp(-1, 1), e.y))
    assert back == pytest.approx(psnr(((e.x + 1).clamp(-1, 1) - 0.5).clamp(-1, 1), e.x))
    words = explorer.image.tooltip
    assert explorer.state[:2] == (10.0, 5.0)
    assert f"{there:.1f} dB against their true" in words
    assert f"{back:.1f} dB back again" in words


def test_the_schedule_explorer_shows_the_closed_form_at_every_time(images):
    explorer = schedule(images)
    state = explorer.default._replace(schedule="cosine", T=100, image=3, draw=2)
    x_0, table = explorer.x[3], cosine(100)
    assert torch.equal(explorer.noised(state._replace(time=0.0)), x_0)
    eps = explorer.noised(state._replace(time=1.0))  # almost eps
    for t in (20, 60):
        x_t = explorer.noised(state._replace(time=t / 100))
        signal, sigma = table.alpha_bar[t].sqrt(), (1 - table.alpha_bar[t]).sqrt()
        torch.testing.assert_close(x_t, (signal * x_0 + sigma * eps).float(), atol=1e-3, rtol=0)


def test_the_words_say_whether_a_schedule_ends_in_noise(images):
    explorer = schedule(images)
    assert "almost none" in explorer.image.tooltip
    explorer.controls["T"].value = 50
    assert "too much" in explorer.image.tooltip
    explorer.controls["schedule"].value = "straight"
    assert "almost none" in explorer.image.tooltip
    assert explorer.controls["T"].disabled
    assert explorer.controls["beta_T"].disabled
    explorer.reset_button.click()
    assert not explorer.controls["beta_T"].disabled


def test_a_scrubber_goes_from_noise_to_image(images):
    explorer = reverse(images)
    recording = explorer.recordings["Heun"]
    for done, frame in ((0.0, 0), (1.0, len(recording.t) - 1)):
        explorer.controls["done"].value = done
        assert explorer.frame(explorer.state) == frame
        assert f"after {frame} of {len(recording.t) - 1} steps" in explorer.image.tooltip
    assert recording.t[0] == 1
    assert recording.t[-1] == 0
    assert torch.equal(recording.x[-1], recording.x_0[-1])
    assert "9 in all" in explorer.image.tooltip
    with pytest.raises(InputError, match="no reverse process"):
        ReverseScrubber({})


def test_exact_particles_end_in_the_modes_and_few_steps_leave_more_outside(images):
    explorer = field(images)
    near = {}
    for calls in (5, 40):
        ends = explorer.points("exact", explorer.default._replace(calls=calls, done=1.0))
        near[calls] = modes(ends, explorer.mixture).near
        assert len(ends) == 300
    assert near[5] < near[40]
    assert near[40] > 0.98
    start = explorer.points("exact", explorer.default._replace(done=0.0))
    assert torch.equal(start, explorer.points("learnt", explorer.default._replace(done=0.0)))
    assert start.std().item() == pytest.approx(1, abs=0.1)


def test_the_field_of_a_network_that_says_zero_is_off_by_what_it_leaves_out(images):
    """Its velocity is 0, so its estimate of x_0 is x_t: at t = 1, the noise."""
    explorer = field(images)
    for parameter in explorer.model.parameters():
        torch.nn.init.zeros_(parameter)
    explorer = FieldExplorer(explorer.model)
    assert explorer.error[0].item() == pytest.approx(2**0.5, abs=0.15)
    assert explorer.error[-1] < 0.1
    assert not explorer.fields["learnt"].arrows.any()


def test_guided_samples_are_those_of_the_model_and_keep_their_noise(images):
    explorer = guidance(images)
    state = explorer.default._replace(label="Bag", weight=3.0, seed=4)
    right = explorer.model.sample(
        10,
        torch.Generator().manual_seed(4),
        calls=30,
        labels=torch.full((10,), images.classes.index("Bag")),
        guidance=3.0,
    )
    assert torch.equal(explorer.drawn(state).x, right)
    plain = explorer.drawn(state._replace(weight=0.0))
    assert not torch.equal(plain.x, right)
    asked = explorer.judge.logits(plain.x).argmax(dim=1) == images.classes.index("Bag")
    assert plain.taken == asked.sum()
    pairs_of = [(a - b).norm() for k, a in enumerate(plain.x) for b in plain.x[:k]]
    assert plain.apart == pytest.approx(torch.stack(pairs_of).mean().item(), rel=1e-4)


# The choice of a family


NOTHING = ChoiceState(0.0, 0.0, 0.0, 0.0, 20.0)


def test_what_matters_decides_which_family_comes_first(images):
    chooser = choosing(images)
    for criterion, first in (
        ("quality", "good"),
        ("stability", "quick"),
        ("speed", "quick"),
        ("diversity", "good"),
    ):
        state = NOTHING._replace(**{criterion: 3.0})
        assert chooser.places(state)[0].family == first
        assert chooser.describe(state).startswith(f"After 20 s {first} comes first")
        assert f"for its {criterion} above all" in chooser.describe(state)


def test_a_choice_says_what_speaks_against_it_and_when_nothing_does(images):
    chooser = choosing(images)
    assert "in spite of its speed" in chooser.describe(ChoiceState(9.0, 0.0, 2.0, 0.0, 20.0))
    assert "in spite" not in chooser.describe(ChoiceState(9.0, 0.0, 0.0, 0.0, 20.0))
    assert "are level" in chooser.describe(ChoiceState(5.0, 0.0, 5.0, 0.0, 20.0))
    assert "nothing matters" in chooser.describe(NOTHING)


def test_a_choice_begins_where_most_families_have_several_seeds_and_shows_every_budget(images):
    chooser = choosing(images)
    assert chooser.state.budget == 20
    assert [label for label, _ in chooser.controls["budget"].options] == ["20 s", "180 s"]
    later = NOTHING._replace(quality=1.0, budget=180.0)
    assert [place.family for place in chooser.places(later)] == ["late", "quick"]
    alone = later._replace(quality=0.0, stability=1.0)  # one seed each: no spread is known
    assert {place.total for place in chooser.places(alone)} == {0.0}
    assert chooser.picture(alone).shape == chooser.picture(later).shape


# Words to pictures


def test_any_text_is_a_sentence_and_unknown_words_are_named(images):
    explorer = prompting(images)
    for text, told in (
        ("", "names no attribute"),
        ("\x00\x07\n", "names no attribute"),
        ("x" * 10_000, "Words that the model does not know: xxx"),
        ("a gren hat", "gren (perhaps green"),
        ("red hat " * 50, "of 1 named attributes"),
    ):
        explorer.controls["prompt"].value = text
        assert told in explorer.caption.text
        assert len(explorer.caption.text) < 240
        assert not explorer.caption.warning
        assert explorer.controls["word"].max == max(1, int((encode([text]) > 0).sum()) - 1)
        explorer.controls["word"].value = explorer.controls["word"].max
        assert not explorer.caption.warning
    explorer.reset()
    assert explorer.state == explorer.default


def test_a_suggestion_is_taken_and_names_itself(images):
    explorer = prompting(images)
    assert explorer.offers.value == explorer.state.prompt
    explorer.offers.value = SUGGESTED[-1]
    assert explorer.state.prompt == SUGGESTED[-1]
    explorer.controls["prompt"].value = "a hat"
    assert explorer.offers.value is None
    explorer.reset()
    assert explorer.offers.value == SUGGESTED[0]


def test_the_drawing_of_a_prompt_is_that_of_the_model(images):
    explorer, rng = prompting(images), torch.Generator().manual_seed(3)
    drawing = explorer.drawn("a red hat", 2.0, 3)
    right = explorer.model.sample(1, rng, labels=encode(["a red hat"]), guidance=2.0)[0]
    torch.testing.assert_close(drawing.x, right, atol=1e-4, rtol=0)
    assert drawing.words == ["a", "red", "hat"]
    torch.testing.assert_close(drawing.maps.sum(dim=0), torch.ones(12, 12))


def test_every_suggested_sentence_is_understood():
    for text in (*SUGGESTED, *ENDS):
        found = parse(text)
        assert len(found.named) >= 3 or text == ENDS[-1]
        assert not found.unknown
        assert not found.loose


def test_clothes_change_only_where_they_can_be(images):
    explorer = try_on(images)
    state = explorer.default._replace(person=5)
    people = load_people().outfits
    changed = explorer.dressed(state) != people.before.x[5]
    assert changed.any()
    assert not (changed & ~people.clothes[5]).any()


def test_the_sentence_of_few_steps_names_what_the_sliders_say():
    assert set(HAIR) < set(PEOPLE_KINDS["hair"])
    fields = ("background", "hair", "hair_colour", "outfit", "outfit_colour")
    for field_name in fields:
        kind = field_name.replace("_", " ")
        for value in PEOPLE_KINDS[kind]:
            state = FewStepsState()._replace(**{field_name: value})
            named = parse(sentence(state)).named
            assert named == {name.replace("_", " "): getattr(state, name) for name in fields}


def test_the_last_estimate_of_few_steps_is_the_sample(images):
    explorer, rng = few_steps(images), torch.Generator().manual_seed(0)
    way = explorer.quick(explorer.default)
    euler = DDIM(explorer.student.schedule)
    c = encode([sentence(explorer.default)])
    right = explorer.student.sample(1, rng, labels=c, calls=4, sampler=euler)[0]
    assert len(way) == 4
    torch.testing.assert_close(way[-1], right, atol=1e-4, rtol=0)


def test_the_ends_of_a_mixture_are_drawn_from_one_sentence_each(images):
    explorer = between(images)
    pictures = explorer.mixed(ENDS[0], ENDS[1], 2)
    euler = DDIM(explorer.student.schedule)
    for end, place in ((ENDS[0], 0), (ENDS[1], -1)):
        rng = torch.Generator().manual_seed(2)
        c = encode([end])
        right = explorer.student.sample(1, rng, labels=c, calls=8, sampler=euler)[0]
        torch.testing.assert_close(pictures[place], right, atol=1e-4, rtol=0)
    explorer.controls["at_1"].value = ENDS[0]
    assert "no picture changes" in explorer.caption.text


# One token after another


def test_a_click_appends_a_token_and_undo_takes_it_back(images):
    explorer = next_token(images)
    begun = explorer.state.text
    _, p, _ = explorer.seen("austen", begun)
    third = explorer.models("austen").tokeniser.tokens[p.argsort(descending=True)[2]]
    explorer.bars.set_state({"value": [2]})  # as the page does
    assert explorer.state.text == f"{begun}{third}".replace("\n", "¶")
    assert explorer.bars.value == []
    explorer.draw(10)
    explorer.undo()
    explorer.undo()
    assert explorer.state.text == begun
    explorer.undo()  # nothing is left
    assert explorer.state.text == begun


def test_a_click_while_the_kernel_draws_appends_what_is_clicked_and_not_the_last_row_again(images):
    explorer = next_token(images)
    for rows, clicked in (([2], 2), ([2, 5], 5), ([2, 3, 5], 3), ([2], 2)):
        begun = explorer.state.text
        p = explorer.seen("austen", begun)[1]
        token = explorer.models("austen").tokeniser.tokens[p.argsort(descending=True)[clicked]]
        explorer.bars.set_state({"value": rows})  # the page has not yet got the answer: no row
        assert explorer.state.text == f"{begun}{token}".replace("\n", "¶")


def test_the_pictures_beside_are_drawn_again_only_if_they_change(images):
    explorer, roll = next_token(images), piano(images)
    bars, grid = explorer.bars.background, roll.controls["notes"].background
    explorer.controls["head"].value = 2
    assert explorer.bars.background is bars
    explorer.controls["text"].value = "It is"
    assert explorer.bars.background != bars
    explorer.caption.density = 1
    assert Image.open(io.BytesIO(explorer.bars.background)).width == explorer.bars.width
    roll.controls["seed"].value = 1
    assert roll.controls["notes"].background is grid
    roll.controls["tune"].value = roll.controls["tune"].options[1]
    assert roll.controls["notes"].background != grid


@pytest.mark.parametrize("words", ["␣of ¶", "가방 ㄱ (end)", "ꦲ or no letter", ""])
def test_a_page_writes_what_a_canvas_writes(words):
    page, canvas = Page(120, 20), Canvas(120, 20)
    for paper in (page, canvas):
        paper.text(words, 100, 2, "red", anchor="ra")
    assert (page.pixels() == canvas.pixels()).all()


def test_draws_are_the_same_after_a_reset(images):
    explorer = next_token(images)
    texts = []
    for _ in range(2):
        explorer.draw(10)
        texts.append(explorer.state.text)
        explorer.reset()
    assert texts[0] == texts[1] != explorer.default.text


@pytest.mark.parametrize("name", ["names", "korean", "tunes"])
def test_ten_drawn_tokens_can_be_read_again(images, name):
    explorer = next_token(images)
    explorer.controls["model"].value = name
    for _ in range(8):  # beyond the context
        explorer.draw(10)
        assert not explorer.caption.warning


def test_texts_that_no_model_can_read_are_answered_in_words(images):
    for kind in (next_token, bold):
        explorer = kind(images)
        explorer.controls["model"].value = "names"
        for text, told in (("日本", "knows no '日', '本'"), ("a" * 1001, "1001 letters")):
            explorer.controls["text"].value = text
            assert told in explorer.caption.text
            assert explorer.caption.warning
        if kind is next_token:
            explorer.draw(1)  # nothing happens, and nothing is raised
            explorer.bars.set_state({"value": [0]})
            assert len(explorer.state.text) == 1001
        explorer.controls["text"].value = ""  # begins a line
        assert not explorer.caption.warning
        explorer.reset()
        assert explorer.state == explorer.default


def test_attention_is_that_of_the_model_for_the_last_place(images):
    explorer = next_token(images)
    model = writers()["names"]
    _, p, looks = explorer.seen("names", "Smith")
    row = model.tokeniser.encode("\nSmith")[None]
    torch.testing.assert_close(looks, model.net.attention(row)[:, 0, :, -1])
    torch.testing.assert_close(p, model.next("Smith"))
    torch.testing.assert_close(looks.sum(dim=2), torch.ones(3, 4))


def test_tokens_have_readable_labels():
    tokens = {token for model in writers().values() for token in model.tokeniser.tokens}
    for model in writers().values():
        names = [label(token) for token in model.tokeniser.tokens]
        assert len(set(names)) == len(names)
    assert all(label(token).strip() and "·" not in label(token) for token in tokens - {"·"})


def test_what_is_drawn_costs_what_the_model_says(images):
    explorer, model = bold(images), writers()["names"]
    drawn = explorer.drawn(explorer.default._replace(temperature=0.0, text="Mac"))
    assert len(set(drawn.texts)) == 1
    assert drawn.texts[0] == model.write("Mac", 1, length=24, temperature=0.0)[0]
    line = drawn.texts[0]
    row = model.tokeniser.encode(f"\n{line}\n")
    bits = -model.log2(row)[3:][:24].mean().item()
    assert drawn.bits == pytest.approx(bits, abs=1e-3)


def test_the_grid_is_a_tune_and_a_click_takes_it_over(images):
    explorer = piano(images)
    explorer.controls["tune"].value = explorer.controls["tune"].options[1]
    explorer.controls["notes"].set_state({"value": [0, 17, 35]})  # as the page does
    assert explorer.state.tune == OWN
    begun = explorer.beginning(explorer.state)
    assert [note.pitch for note in notes_of(begun)] == [84, 83, None, 81][: len(notes_of(begun))]
    assert explorer.played(explorer.state).startswith(begun)
    assert "data:audio/wav;base64," in explorer.audio.value
    seed = explorer.state.seed
    explorer.go_on.click()
    assert explorer.state.seed == seed + 1
    explorer.controls["notes"].value = []
    assert "no note" in explorer.caption.text
    assert explorer.audio.value == ""
    with pytest.raises(InputError, match="no note"):
        from_grid(())


def test_a_question_is_answered_with_links_or_in_words(images):
    explorer = asking(images)
    explorer.controls["question"].value = "steganography"
    assert "05_cyclegan.ipynb#Does-the-cycle-hide-anything" in explorer.links.value
    for text, told in (("", "empty"), ("qwxz", "No section"), ("a" * 501, "501 letters")):
        explorer.controls["question"].value = text
        assert told in explorer.caption.text
        assert explorer.links.value == ""
    explorer.controls["question"].value = "<b>판별자</b>가 왜 이겨요?"
    assert "04_gan.ipynb" in explorer.links.value


# The reader's own pictures


@pytest.fixture(params=[(3, 64), (1, 20), (3, 32)])
def own(request) -> ImageSet:
    """Pictures of another size than the course's, with class names in three scripts."""
    channels, side = request.param
    rng = torch.Generator().manual_seed(0)
    shape = (30, channels, side, side)
    split = Split(torch.randint(256, shape, generator=rng, dtype=torch.uint8), torch.arange(30) % 4)
    return ImageSet("own", split, split, ("고양이", "dog", "дерево", "ꦲꦤ"))


def test_explorers_show_own_pictures_of_any_size_with_names_in_any_script(own):
    shape = own.image_shape
    for made in (
        LatentExplorer(DeepAutoencoder(shape, latent_size=2).eval(), own),
        NoiseExplorer(DenoisingAutoencoder(shape, width=4).eval(), own),
        PriorExplorer(BernoulliVAE(shape, latent_size=2, width=4).eval(), own),
        UnitsExplorer(BernoulliVAE(shape, latent_size=6, width=4).eval(), own),
        WayExplorer(BernoulliVAE(shape, width=4).eval(), own, Judge(shape, classes=4).eval()),
        LambdaExplorer({1.0: SparseAutoencoder(shape).eval()}, own),
        MaskExplorer(MaskedAutoencoder(shape, width=16, depth=1).eval(), own),
        ScheduleExplorer(own),
    ):
        assert not made.caption.warning, made.caption.text
        another(made).value = another(made).max
        assert not made.caption.warning, made.caption.text


def test_hangul_is_drawn_and_a_letter_that_no_font_has_is_a_dot():
    def drawn(words):
        canvas = Canvas(60, 20)
        canvas.text(words, 0, 0)
        return canvas.pixels()

    assert not np.array_equal(drawn("가"), drawn("나"))
    assert np.array_equal(drawn("ꦲ"), drawn("·"))


# A cell that is run again


class Shell:
    """An IPython shell in which a cell is executed."""

    def __init__(self):
        self.cell, self.execution = "a", 1

    def get_parent(self):
        return {"metadata": {"cellId": self.cell}, "header": {"msg_id": str(self.execution)}}


@pytest.fixture
def shell(monkeypatch):
    shell = Shell()
    monkeypatch.setattr("gen_course.common.explorer.get_ipython", lambda: shell)
    monkeypatch.setattr("gen_course.common.explorer._shown", {})
    return shell


def test_a_cell_that_is_run_again_ends_the_explorers_that_it_showed(shell, images):
    first, second = noise(images), latent(images)
    first._repr_mimebundle_(), second._repr_mimebundle_()
    shell.cell, shell.execution = "b", 2
    other = noise(images)
    other._repr_mimebundle_()
    before = len(widgets.widget._instances)
    for execution in range(3, 6):
        shell.cell, shell.execution = "a", execution
        last = noise(images)
        last._repr_mimebundle_()
    assert vars(first) == vars(second) == {}
    assert vars(other)
    assert vars(last)
    assert len(widgets.widget._instances) < before


@pytest.mark.parametrize(
    "kind",
    [
        LatentExplorer,
        LambdaExplorer,
        NoiseExplorer,
        MaskExplorer,
        PriorExplorer,
        BetaExplorer,
        UnitsExplorer,
        WayExplorer,
        ScheduleExplorer,
        PromptExplorer,
        TryOnExplorer,
    ],
)
def test_explorers_share_data_and_models_and_hold_no_part_of_a_larger_copy(kind):
    first, second = kind(), kind()
    for name, value in vars(first).items():
        other = getattr(second, name)
        if isinstance(value, torch.Tensor):
            own = value.untyped_storage().nbytes()
            assert value is other or own < 2**20, (name, own)
        elif isinstance(value, torch.nn.Module | ImageSet):
            assert value is other, name
        elif isinstance(value, dict) and name == "models":
            assert all(value[key] is other[key] for key in value)
