import pytest

from pal_backend.core.annotators import LEAST_ERROR, MOST_ERROR, error_rates, log_odds


def test_one_answer_at_the_prior_weighs_2_197() -> None:
    """The closed form: at an error rate of .1 an answer is worth ln 9."""
    assert log_odds(error_rates({"new": (0, 0)})["new"]) == pytest.approx(2.1972245773)


def test_rates_follow_the_beta_prior() -> None:
    """Three wrong of ten under Beta(1, 9) is a rate of 4/20."""
    assert error_rates({"ann": (3, 10)})["ann"] == pytest.approx(0.2)


def test_rates_stay_within_bounds() -> None:
    """Nobody is beyond doubt, and nobody counts backwards."""
    rates = error_rates({"saint": (0, 100_000), "troll": (100_000, 100_000)})
    assert rates == {"saint": LEAST_ERROR, "troll": MOST_ERROR}
    assert log_odds(rates["troll"]) == 0.0
