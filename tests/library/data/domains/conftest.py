"""The shipped pairs of domains, each loaded once."""

import pytest

from gen_lib.data import DomainSet, load_domains


@pytest.fixture(scope="package")
def landscapes() -> DomainSet:
    return load_domains("seasons")


@pytest.fixture(scope="package")
def emoji() -> DomainSet:
    return load_domains("emoji")


@pytest.fixture(scope="package")
def emoji_pairs() -> DomainSet:
    return load_domains("emoji", paired=True)
