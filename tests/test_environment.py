"""Only one process is the first, whatever started the others."""

import pytest

from ganduel.environment import RANKS, rank_from_environment
from ganduel.tracking.base import is_first_rank


@pytest.mark.parametrize("name", RANKS)
def test_a_further_process_knows_that_it_is_not_the_first(monkeypatch, name: str):
    for other in RANKS:
        monkeypatch.delenv(other, raising=False)
    assert rank_from_environment() == 0
    assert is_first_rank()
    monkeypatch.setenv(name, "1")
    assert rank_from_environment() == 1
    assert not is_first_rank()
