"""What runs of several seeds come to: means, spread, and tables for a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table

from benchmarks.questions_runs import Run

GROUPS_AT = 1000
"""Answers after which groups are counted; the largest budget if that is less."""
FIGURES = ("ari", "ari_unseen", "nmi", "accuracy", "groups", "screens", "answers")

Summary = dict[str, Any]


def label(run: Run | Summary) -> str:
    """A strategy in words, with what was switched off in it."""
    return f"{run['strategy']} without {run['without']}" if run["without"] else str(run["strategy"])


def percent(rate: float) -> str:
    """A share in words."""
    return f"{100 * rate:g} %"


def point_at(run: Run, budget: int) -> dict[str, float]:
    """A run's figures once ``budget`` answers were given: a screen may overshoot it; a run that ended stays as it was."""
    curve: list[dict[str, float]] = run["curve"]
    return next((point for point in curve if point["answers"] >= budget), curve[-1])


def spread(values: Iterable[float]) -> dict[str, float]:
    """Mean, least and most."""
    numbers = np.asarray(list(values), float)
    return {"mean": float(numbers.mean()), "least": float(numbers.min()), "most": float(numbers.max())}


def summaries(runs: Iterable[Run], budgets: Sequence[int]) -> list[Summary]:
    """One object for each set, error rate and strategy, over its seeds, in the order in which they first come."""
    settings: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        settings[run["data"], run["error_rate"], run["strategy"], run["without"]].append(run)
    return [_summary(key, some, budgets) for key, some in settings.items()]


def _summary(key: tuple[Any, ...], runs: Sequence[Run], budgets: Sequence[int]) -> Summary:
    curve = []
    for budget in budgets:
        points = [point_at(run, budget) for run in runs]
        figures = {name: spread(point[name] for point in points) for name in FIGURES}
        curve.append({"budget": budget} | figures)
    reach = {value: _reached([run["reach"][value] for run in runs]) for value in runs[0]["reach"]}
    at = min(GROUPS_AT, budgets[-1])
    return dict(zip(("data", "error_rate", "strategy", "without"), key, strict=True)) | {
        "seeds": [run["seed"] for run in runs],
        "curve": curve,
        "reach": reach,
        "groups": spread(point_at(run, at)["groups"] for run in runs),
        "groups_at": at,
        "ms_per_question": spread(run["ms_per_question"] for run in runs),
    }


def _reached(answers: Sequence[int | None]) -> dict[str, float]:
    """Spread over the seeds that got there, and how many did."""
    there = [number for number in answers if number is not None]
    counts = {"seeds_there": len(there), "seeds": len(answers)}
    return counts | (spread(there) if there else {})


def tables(found: Sequence[Summary]) -> Group:
    """For every set and error rate: quality at each budget, and what else is asked of a way of asking."""
    panels: list[RenderableType] = []
    for data, error_rate in dict.fromkeys((one["data"], one["error_rate"]) for one in found):
        some = [one for one in found if (one["data"], one["error_rate"]) == (data, error_rate)]
        title = f"{data}, {percent(error_rate)} wrong, seeds {', '.join(map(str, some[0]['seeds']))}"
        panels += [Rule(title, align="left"), "ARI over all samples: mean, least to most", _quality(some, "ari")]
        panels += ["ARI over samples never shown", _quality(some, "ari_unseen")]
        panels += ["Answers to an ARI, groups found, time", _rest(some)]
    return Group(*panels)


def _quality(found: Sequence[Summary], figure: str) -> Table:
    table = Table()
    table.add_column("answers")
    for point in found[0]["curve"]:
        table.add_column(str(point["budget"]), justify="right")
    best = [max(one["curve"][i][figure]["mean"] for one in found) for i in range(len(found[0]["curve"]))]
    for one in found:
        cells = [_cell(point[figure], top) for point, top in zip(one["curve"], best, strict=True)]
        table.add_row(label(one), *cells)
    return table


def _cell(value: dict[str, float], best: float) -> str:
    mean = short(value["mean"])
    mean = f"[bold]{mean}[/]" if short(best) == short(value["mean"]) else mean
    return f"{mean}\n[dim]{short(value['least'])}–{short(value['most'])}[/]"


def short(value: float) -> str:
    """Three decimals, without the zero before them."""
    return f"{value:.3f}".replace("0.", ".", 1)


def _rest(found: Sequence[Summary]) -> Table:
    table = Table()
    table.add_column("")
    for value in found[0]["reach"]:
        table.add_column(f"to {short(float(value)).rstrip('0')}", justify="right")
    table.add_column(f"groups at {found[0]['groups_at']:,}", justify="right")
    table.add_column("ms a question", justify="right")
    for one in found:
        groups, spent = one["groups"], one["ms_per_question"]
        table.add_row(
            label(one),
            *(_reach_cell(value) for value in one["reach"].values()),
            f"{groups['mean']:.1f}\n[dim]{groups['least']:.0f}–{groups['most']:.0f}[/]",
            f"{spent['mean']:.1f}\n[dim]{spent['least']:.1f}–{spent['most']:.1f}[/]",
        )
    return table


def _reach_cell(value: dict[str, float]) -> str:
    there, of = int(value["seeds_there"]), int(value["seeds"])
    if not there:
        return "–"
    some = "" if there == of else f" ({there} of {of})"
    return f"{value['mean']:.0f}{some}\n[dim]{value['least']:.0f}–{value['most']:.0f}[/]"


def worth(found: Sequence[Summary], whole: str) -> Group:
    """What each ingredient is worth: mean ARI with it, less mean ARI without it, at each budget."""
    panels: list[RenderableType] = []
    for data, error_rate in dict.fromkeys((one["data"], one["error_rate"]) for one in found):
        some = [one for one in found if (one["data"], one["error_rate"]) == (data, error_rate)]
        full = next(one for one in some if one["strategy"] == whole and not one["without"])
        table = Table()
        table.add_column("without")
        for point in full["curve"]:
            table.add_column(str(point["budget"]), justify="right")
        table.add_row("[dim]ARI with all[/]", *(f"[dim]{short(point['ari']['mean'])}[/]" for point in full["curve"]))
        for one in some:
            if one["without"]:
                pairs = zip(full["curve"], one["curve"], strict=True)
                lost = [with_it["ari"]["mean"] - point["ari"]["mean"] for with_it, point in pairs]
                table.add_row(one["without"], *(f"{value:+.3f}".replace("0.", ".", 1) for value in lost))
        panels += [Rule(f"{data}, {percent(error_rate)} wrong: ARI lost without it", align="left"), table]
    return Group(*panels)


def console(*, to_stderr: bool = False) -> Console:
    """A terminal's own width; wide enough for the tables where there is no terminal."""
    made = Console(stderr=to_stderr)
    return made if made.is_terminal else Console(stderr=to_stderr, width=130)
