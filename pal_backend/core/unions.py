"""Sets of samples that grow by unions (Tarjan and van Leeuwen 1984, "Worst-case analysis of set union algorithms", path halving)."""

from __future__ import annotations

from pal_backend.core.vocabulary import SampleId

Parents = dict[SampleId, SampleId]
"""Sample to another of its set, or to itself; who is their own parent stands for the set. Shortened as it is followed."""


def top(parent: Parents, sample: SampleId) -> SampleId:
    """Who stands for the sample's set."""
    while parent[sample] != sample:
        parent[sample] = parent[parent[sample]]
        sample = parent[sample]
    return sample


def first_of_each(parent: Parents) -> dict[SampleId, SampleId]:
    """Sample to the first of its set, in the order of ``parent``."""
    first: dict[SampleId, SampleId] = {}
    return {sample: first.setdefault(top(parent, sample), sample) for sample in parent}
