"""The groups of a revision as people look at them."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.grouping import Grouping
from pal_backend.core.posterior import Posterior


def random_beliefs(n: int, k: int, seed: int) -> Posterior:
    """N samples, K groups, random beliefs; the last group has no members."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, 0.3), n).astype(np.float32)
    p[:, -1] = 0.0
    ids = tuple(f"{row:016x}" for row in range(n))
    return Posterior(ids, ids[:k], p, np.full(n, -1, np.int32), np.zeros((0, 2), np.int32))


def test_groups_hold_each_sample_once_as_exports_do() -> None:
    """Sizes, means and order agree with the assignment sample by sample."""
    posterior = random_beliefs(500, 7, 1)
    best, probability = posterior.assignment()
    grouping = Grouping.of(posterior)
    assert [group.size for group in grouping.sized] == sorted((group.size for group in grouping.sized), reverse=True)
    assert sum(group.size for group in grouping.sized) == 500
    for group in grouping.sized:
        own = best == posterior.groups.index(group.id)
        members = grouping.typical(group.id, 0, 1000)
        assert group.size == own.sum() and group.confidence == pytest.approx(float(probability[own].mean()), rel=1e-5)
        assert {member.sample for member in members} == {posterior.sample_ids[row] for row in np.flatnonzero(own)}
        assert [m.probability for m in members] == sorted((m.probability for m in members), reverse=True)
        assert grouping.doubtful(group.id, 0, 1000) == members[::-1]
        assert grouping.typical(group.id, 3, 2) == members[3:5]


def test_among_keeps_the_order_and_leaves_out_strangers() -> None:
    """Each sample once; those elsewhere or unknown are no members."""
    posterior = random_beliefs(50, 4, 2)
    grouping = Grouping.of(posterior)
    group = grouping.sized[0]
    a, b = (member.sample for member in grouping.typical(group.id, 0, 2))
    other = grouping.typical(grouping.sized[1].id, 0, 1)[0].sample
    assert [m.sample for m in grouping.among(group.id, [b, other, "unknown", a, b])] == [b, a]


def test_a_group_without_members_is_none() -> None:
    """It is not listed nor found; a posterior without groups has none."""
    posterior = random_beliefs(50, 4, 3)
    assert posterior.groups[-1] not in {group.id for group in Grouping.of(posterior).sized}
    assert Grouping.of(posterior).find(posterior.groups[-1]) is None
    bare = Posterior(("a",), (), np.zeros((1, 0), np.float32), np.zeros(1, np.int32), np.zeros((0, 2), np.int32))
    assert Grouping.of(bare).sized == ()
    assert Grouping.of(bare).group_of("a") is None


def test_it_is_the_same_after_a_round_trip_and_nothing_else_is_taken_for_it() -> None:
    """Arrays that do not fit the samples and groups are refused before anything is looked up in them."""
    posterior = random_beliefs(60, 5, 4)
    made = Grouping.of(posterior)
    arrays = made.arrays()
    again = Grouping.load(posterior.sample_ids, posterior.groups, arrays)
    assert again.sized == made.sized
    group = made.sized[0].id
    assert again.typical(group, 0, 99) == made.typical(group, 0, 99)
    assert [again.group_of(s) for s in posterior.sample_ids[5:]] == [
        posterior.groups[k] for k in posterior.assignment()[0][5:]
    ]
    for wrong in (
        {"order": arrays["order"][1:]},
        {"order": arrays["order"] + 1},
        {"order": -arrays["order"] - 1},
        {"starts": arrays["starts"][1:]},
        {"starts": arrays["starts"] + 61},
        {"starts": arrays["starts"][::-1]},
        {"probability": arrays["probability"][1:]},
    ):
        with pytest.raises(ValueError, match="does not fit"):
            Grouping.load(posterior.sample_ids, posterior.groups, {**arrays, **wrong})
