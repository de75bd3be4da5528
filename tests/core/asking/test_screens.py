from pal_backend.core.asking.screens import select_screens
from pal_backend.core.asking.state import Candidates
from tests.core.worlds import clusters

SPACE, _ = clusters(groups=3, each=20)


def test_a_screen_has_one_anchor_and_no_sample_twice() -> None:
    """The anchor with the most at stake comes first, and what it shows is not shown again."""
    candidates = Candidates.of([(1, 50, 1.0), (21, 50, 1.0), (2, 51, 0.3), (22, 51, 0.2), (1, 51, 0.9), (41, 51, 0.0)])
    screens = select_screens(candidates, SPACE, 5, 8)
    shown = [int(candidates.left[m]) for _, chosen in screens for m in chosen]
    assert screens[0] == (50, [0, 1]) or screens[0] == (50, [1, 0])
    assert sorted(shown) == sorted(set(shown)) == [1, 2, 21, 22]


def test_size_and_open_samples_are_respected() -> None:
    """No more candidates than asked for, and none that an open question already shows."""
    candidates = Candidates.of([(row, 50, 1.0) for row in (1, 12, 21, 33)])
    [(anchor, chosen)] = select_screens(candidates, SPACE, 1, 2, open_rows=[1])
    assert anchor == 50 and len(chosen) == 2
    assert 1 not in {int(candidates.left[m]) for m in chosen}
