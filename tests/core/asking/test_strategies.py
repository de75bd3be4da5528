import numpy as np
import pytest

from pal_backend.core.asking.state import State
from pal_backend.core.asking.strategies import STRATEGIES, strategy
from pal_backend.core.learner import Learner
from pal_backend.errors import InputError
from tests.core.worlds import clusters, truthful

SPACE, LABELS = clusters(groups=3, each=15)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_strategy_is_a_function_of_state_and_generator(name: str) -> None:
    """The same state and seed give the same candidates, all of them real pairs with scores."""
    learner = Learner(SPACE, strategy=name)
    for number in range(5):
        learner.update(truthful(number, learner.ask(1)[0], SPACE, LABELS), ())
    state = State.of(SPACE, learner.graph, learner.beliefs)
    first, again = (strategy(name)(state, np.random.default_rng(7)) for _ in range(2))
    assert (first.left == again.left).all() and (first.scores == again.scores).all()
    assert len(first.left) and (first.left != first.right).all() and (first.scores >= 0).all()


def test_an_unknown_name_is_refused() -> None:
    """The message names those that exist."""
    with pytest.raises(InputError, match="random, repspread"):
        strategy("best")
