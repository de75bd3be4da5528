"""A re-check is kept from the person whose answer it checks, as far as Label Studio Community allows.

Community assigns tasks to nobody. What the label stream does pass over is a task that a person has put off: it comes to
that person after all else. So the task of a re-check is imported with a draft that is put off and empty, in the name of
whoever is to be spared (:data:`pal_backend.wire.PLACEHOLDER`). When the question is given back (nobody else is there) or
dealt with, the draft is deleted. Drafts that people made themselves are never touched.

Where Label Studio does not import drafts the question goes to whoever asks next, as any other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pal_backend import wire
from pal_backend.core.vocabulary import Purpose
from pal_backend.label_studio import LabelStudio
from pal_backend.label_studio_values import RemoteTask
from pal_backend.store.questions import PostedQuestion, Questions, State
from pal_backend.store.withheld import Withheld

logger = logging.getLogger(__name__)


@dataclass
class Withholding:
    """What stands in one desk's Label Studio project so that a question is kept from somebody, during one refill."""

    label_studio: LabelStudio
    withheld: Withheld
    questions: Questions
    desk: str

    @cached_property
    def _people(self) -> dict[str, tuple[str, ...]]:
        return self.withheld.all(self.desk)

    @cached_property
    def _emails(self) -> dict[str, str]:
        return {str(number): email for number, email in self.label_studio.members().items() if email}

    def kept_from(self, question: str) -> tuple[str, ...]:
        """E-mail addresses of the people a question is kept from; those who left Label Studio are passed over.

        An address that Label Studio does not know would put the draft in our own account's name.
        """
        people = self._people.get(question, ())
        return tuple(self._emails[person] for person in people if person in self._emails) if people else ()

    def confirm(self, posted: Iterable[PostedQuestion]) -> int:
        """After these were posted: how many are really kept from somebody. The others are forgotten here."""
        standing = 0
        for one in posted:
            if one.task is None or not self._people.get(one.id):
                continue
            if self._placeholders(one.task):
                standing += 1
            else:
                logger.info("task %d goes to anybody: Label Studio did not import its draft", one.task)
                self.withheld.forget(one.id)
        return standing

    def release(self, tasks: Sequence[RemoteTask]) -> None:
        """Open to everybody what was given back or is dealt with, and what Redis no longer knows to be kept.

        Args:
            tasks: those without annotations.
        """
        for question, people in self._people.items():
            posted = self.questions.get(question)
            if posted is not None and posted.state is not State.CLOSED and people:
                continue
            if posted is not None and posted.task is not None:
                self._open(posted.task)
            self.withheld.forget(question)
        for task in tasks:
            if task.has_draft and self._is_stray(task):
                self._open(task.id)

    def _is_stray(self, task: RemoteTask) -> bool:
        posted = self.questions.by_task(self.desk, task.id)
        return posted is not None and posted.question.purpose is Purpose.RECHECK and posted.id not in self._people

    def _open(self, task: int) -> None:
        for draft in self._placeholders(task):
            self.label_studio.delete_draft(draft)

    def _placeholders(self, task: int) -> list[int]:
        """Our drafts on a task; one that somebody has filled since is that person's."""
        drafts = self.label_studio.drafts(task)
        return [draft.id for draft in drafts if draft.empty and draft.import_id == wire.PLACEHOLDER]
