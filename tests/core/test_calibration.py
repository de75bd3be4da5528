import numpy as np
import pytest

from pal_backend.core.calibration import fit_calibration
from tests.core.worlds import said


def test_without_predictions_it_is_the_identity() -> None:
    """No answer with a prediction leaves slope 1 and intercept 0; unsure ones do not count."""
    assert fit_calibration([]) == (1.0, 0.0)
    assert fit_calibration([said(1, "a", "b", "same"), said(2, "a", "c", "unsure", predicted=0.4)]) == (1.0, 0.0)


def test_one_answer_hardly_moves_it() -> None:
    """The prior holds against a single surprise."""
    slope, intercept = fit_calibration([said(1, "a", "b", "different", predicted=0.9)])
    assert (slope, intercept) == pytest.approx((1.0, 0.0), abs=0.3)


@pytest.mark.parametrize(("slope", "intercept"), [(0.6, 0.0), (1.4, -0.5), (1.0, 0.7)])
def test_many_answers_recover_the_truth(slope: float, intercept: float) -> None:
    """With thousands of answers the fitted curve is the one that made them."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 4000)
    truth = 1 / (1 + np.exp(-(slope * np.log(p / (1 - p)) + intercept)))
    answers = [
        said(n, "a", "b", "same" if rng.random() < t else "different", predicted=float(q))
        for n, (q, t) in enumerate(zip(p, truth, strict=True))
    ]
    assert fit_calibration(answers) == pytest.approx((slope, intercept), abs=0.12)


def test_slope_never_turns_negative() -> None:
    """Even answers that are always the opposite keep the order of the predictions."""
    answers = [said(n, "a", "b", "different" if n % 2 else "same", predicted=0.9 if n % 2 else 0.1) for n in range(500)]
    assert fit_calibration(answers)[0] > 0.0
