import numpy as np
import pytest

from pal_backend.core import calibration
from pal_backend.core.calibration import fit_calibration


def test_without_answered_samples_or_a_second_group_it_is_the_identity() -> None:
    """Nothing to compare leaves slope 1 and intercept 0."""
    assert fit_calibration(np.zeros((0, 3)), np.zeros((0, 3))) == (1.0, 0.0)
    assert fit_calibration(np.ones((4, 1)), np.ones((4, 1))) == (1.0, 0.0)


def test_one_sample_hardly_moves_it() -> None:
    """The prior holds against a single surprise."""
    found = fit_calibration(np.asarray([[0.9, 0.1]]), np.asarray([[0.0, 1.0]]))
    assert found == pytest.approx((1.0, 0.0), abs=0.3)


@pytest.mark.parametrize("slope", [0.6, 1.0, 1.4])
def test_many_samples_recover_the_truth(slope: float) -> None:
    """With thousands of samples the fitted curve is the one by which they were placed."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 4000)
    truth = 1 / (1 + np.exp(-slope * np.log(p / (1 - p))))
    first = rng.random(4000) < truth
    own, both = np.stack([p, 1 - p], axis=1), np.stack([first, ~first], axis=1).astype(float)
    assert fit_calibration(own, both) == pytest.approx((slope, 0.0), abs=0.12)


def test_what_is_believed_of_unlikely_groups_does_not_count() -> None:
    """Only the two likeliest groups of a sample are looked at, however many there are."""
    rng = np.random.default_rng(1)
    own = rng.dirichlet([3.0, 3.0], 200)
    both = (own == own.max(axis=1, keepdims=True)).astype(float)
    wide = np.concatenate([0.98 * own, np.full((200, 20), 0.001)], axis=1)
    padded = np.concatenate([both, np.full((200, 20), 0.5)], axis=1)
    assert fit_calibration(wide, padded) == pytest.approx(fit_calibration(0.98 * own, both))


def test_slope_never_turns_negative() -> None:
    """Even placements that are always the opposite keep the order of the beliefs."""
    own = np.tile([[0.9, 0.1]], (500, 1))
    assert fit_calibration(own, 1.0 - own)[0] > 0.0


def test_answers_count_upon_what_they_are_calibrated_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beliefs of one half where nine in ten are same, and a "same" or "different" by people who err in one of five: judged by
    beliefs that hold on to themselves the fit falls short, and comes nearer by the second step.
    """
    rng = np.random.default_rng(2)
    same = rng.random(4000) < 0.9
    heard = np.where(same ^ (rng.random(4000) < 0.2), np.log(4.0), -np.log(4.0))
    with_answers = 1.0 / (1.0 + np.exp(-heard))
    own, both = np.full((4000, 2), 0.5), np.stack([with_answers, 1.0 - with_answers], axis=1)
    own[:, 1], both[:, 1] = 0.005, 0.005
    _, intercept = fit_calibration(own, both)
    monkeypatch.setattr(calibration, "STEP", 0.0)
    _, before = fit_calibration(own, both)
    assert before + 0.1 < intercept < np.log(9.0)
