"""The translator that is trained on true pairs: its loss, and that it learns."""

import torch
from torch import nn

from gen_lib.data import Domain, PairBatch, TwoDomains
from gen_lib.models import CycleGAN, SupervisedTranslator
from gen_lib.models.cyclegan import distance
from gen_lib.training import fit

SHAPE = (1, 8, 8)


class Plus(nn.Module):
    """x + c."""

    def __init__(self, c: float):
        super().__init__()
        self.c = nn.Parameter(torch.tensor(c))

    def forward(self, x):
        return x + self.c


def test_it_descends_the_distances_to_the_true_partners():
    model = SupervisedTranslator(SHAPE, width=4, blocks=1)
    model.g, model.f = Plus(2.0), Plus(-1.0)
    x, y = torch.ones(2, *SHAPE), torch.full((2, *SHAPE), 4.0)
    found = model.loss(PairBatch(x, y), torch.Generator(), 0.0)
    assert found.value.item() == (4 - 3) + (3 - 1)
    assert {name: v.item() for name, v in found.terms.items()} == {"to_b": 1, "to_a": 2}


def test_translate_uses_g_towards_b_and_f_towards_a():
    model = SupervisedTranslator(SHAPE, width=4, blocks=1)
    model.g, model.f = Plus(2.0), Plus(-1.0)
    x = torch.zeros(2, *SHAPE)
    assert torch.equal(model.translate(x, to="B"), x + 2)
    assert torch.equal(model.translate(x, to="A"), x - 1)


def test_it_has_the_generators_of_the_cyclegan_and_learns_what_pairs_say(grey_and_bright):
    x = grey_and_bright.a
    negatives = TwoDomains(x, Domain(255 - x.images, x.captions), True)
    torch.manual_seed(0)
    model = SupervisedTranslator(SHAPE, width=8, blocks=1)
    same = CycleGAN(SHAPE, width=8, blocks=1)
    assert [p.shape for p in model.g.parameters()] == [p.shape for p in same.g.parameters()]
    fit(model, negatives, steps=200, batch_size=8, show_bar=False)
    with torch.no_grad():
        g_x = model.translate(x.x, to="B")
    assert distance(g_x, -x.x) < distance(x.x, -x.x) / 4
