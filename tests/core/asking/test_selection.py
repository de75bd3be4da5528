import numpy as np

from pal_backend.core.asking.selection import select
from pal_backend.core.asking.state import Candidates
from tests.core.worlds import clusters

SPACE, LABELS = clusters(groups=3, each=20)


def test_best_first_one_question_a_sample() -> None:
    """The same sample is not placed by two questions at once, and worthless candidates are left out."""
    candidates = Candidates.of([(5, 1, 1.0), (5, 2, 0.9), (25, 1, 0.5), (45, 1, 0.0)])
    assert select(candidates, SPACE, 10) == [0, 2]
    assert select(candidates, SPACE, 10, open_rows=[5]) == [2]
    assert select(Candidates.of([]), SPACE, 10) == []


def test_near_neighbours_wait() -> None:
    """Right beside an open sample a slightly better candidate comes after one from elsewhere."""
    near = int(SPACE.neighbours(5)[SPACE.weights(5).argmax()])
    candidates = Candidates.of([(5, 59, 1.0), (near, 59, 0.9), (30, 59, 0.8)])
    assert select(candidates, SPACE, 2) == [0, 2]


def test_ties_go_to_the_smaller_sample_id() -> None:
    """Equal scores are ordered by id, whatever the order of the candidates."""
    far = [0, 20, 40]
    first = min(far, key=lambda row: SPACE.sample_ids[row])
    for order in (far, far[::-1]):
        candidates = Candidates.of([(row, 59, 1.0) for row in order])
        [chosen] = select(candidates, SPACE, 1)
        assert candidates.left[chosen] == first
    assert isinstance(candidates.scores, np.ndarray)
