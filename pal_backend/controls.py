"""What a lead decides about the questions of a project: pause, strategy, recipe, how many are open. One rule for page and `pal`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pal_backend.choosing import Operator, chosen, with_recipe
from pal_backend.core.asking import names
from pal_backend.core.recipes import pretext_of
from pal_backend.errors import InputError
from pal_backend.queues import Queues
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores

MOST_OPEN = 1000
"""Questions open on a desk; as of ``PAL_OPEN_QUESTIONS``."""


@dataclass(frozen=True)
class Wishes:
    """What is to change; None leaves a part as it is."""

    strategy: str | None = None
    recipe: str | None = None
    """Empty: let others say, as :mod:`pal_backend.choosing` has it."""
    open_questions: int | None = None
    """0: as ``PAL_OPEN_QUESTIONS`` says."""


@dataclass(frozen=True)
class Controls:
    """Changes what is kept about a project, and wakes whoever follows it. ``clock`` gives seconds since 1970.

    A sitting that runs follows within a second, the next training takes the recipe; what is open stays open, and can be
    answered.
    """

    stores: Stores
    queues: Queues
    operator: Operator
    clock: Callable[[], float]

    def pause(self, name: str) -> Project:
        """Ask no new questions; answers to open ones are learned from as ever. Paused already, nothing changes.

        Raises:
            NotFoundError: there is no such project.
        """
        now = self.clock()
        return self.stores.projects.change(name, lambda p: p if p.paused else replace(p, paused_at=now))

    def resume(self, name: str) -> Project:
        """Ask again.

        Raises:
            NotFoundError: there is no such project.
        """
        changed = self.stores.projects.change(name, lambda p: replace(p, paused_at=0.0))
        self._wake(name)
        return changed

    def change(self, name: str, wishes: Wishes, by: str) -> Project:
        """Ask, or learn, in another way.

        Args:
            name: of the project.
            wishes: what is to change.
            by: who says so, for people.

        Raises:
            NotFoundError: there is no such project.
            InputError: a strategy or recipe that is not there, or a number out of range; nothing is kept.
        """
        _check(wishes)
        before = self.stores.projects.get(name)
        changed = self.stores.projects.change(name, lambda project: _changed(project, wishes, by))
        if changed != before:
            wanted = self._pretext(changed)
            if wanted and wanted != self._pretext(before):
                self.queues.ingest(name)  # before the first training the losses come with the pool
            self._wake(name)
        return changed

    def _pretext(self, project: Project) -> str:
        return pretext_of(chosen(project, self.stores, self.operator).choice.recipe, project.strategy)

    def _wake(self, name: str) -> None:
        if self.stores.versions(name).current() is not None:
            self.queues.learn(name)


def _check(wishes: Wishes) -> None:
    if wishes.strategy is not None:
        names.check(wishes.strategy)
    if wishes.open_questions is not None and not 0 <= wishes.open_questions <= MOST_OPEN:
        raise InputError(
            f"{wishes.open_questions} open questions cannot be kept; expected 1 to {MOST_OPEN}, or 0 for what "
            "PAL_OPEN_QUESTIONS says; choose such a number"
        )


def _changed(project: Project, wishes: Wishes, by: str) -> Project:
    if wishes.strategy is not None:
        project = replace(project, strategy=wishes.strategy)
    if wishes.open_questions is not None:
        project = replace(project, open_questions=wishes.open_questions)
    if wishes.recipe is not None and wishes.recipe != project.recipe:
        project = with_recipe(project, wishes.recipe, by)
    return project
