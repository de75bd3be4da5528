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

from pal_backend import wire
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

    def kept_from(self, questions: Sequence[PostedQuestion]) -> dict[str, tuple[str, ...]]:
        """Question id → e-mail addresses of the people it is kept from, of those questions that are kept from somebody.

        To be asked after the questions were read from the journal: what is kept is noted before it is journalled. People who
        left Label Studio are passed over: an address that it does not know would put the draft in our own account's name.
        """
        people = self.withheld.all(self.desk)
        kept = {one.id: people[one.id] for one in questions if people.get(one.id)}
        if not kept:
            return {}
        emails = {str(number): email for number, email in self.label_studio.members().items() if email}
        return {question: tuple(emails[one] for one in some if one in emails) for question, some in kept.items()}

    def confirm(self, posted: Iterable[PostedQuestion]) -> int:
        """After questions that are kept from somebody were posted: how many really are. The others are forgotten here."""
        standing = 0
        for one in posted:
            if one.task is not None and self._placeholders(one.task):
                standing += 1
            else:
                logger.info("task %s goes to anybody: Label Studio did not import its draft", one.task)
                self.withheld.forget(one.id)
        return standing

    def release(self, tasks: Sequence[RemoteTask]) -> None:
        """Open to everybody what was given back or is dealt with, and what Redis no longer knows to be kept.

        Args:
            tasks: those without annotations.
        """
        kept = self.withheld.all(self.desk)
        for question, people in kept.items():
            posted = self.questions.get(question)
            # Noted before it is journalled, so one that the journal does not know is about to be.
            if posted is None or (posted.state is not State.CLOSED and people):
                continue
            if posted.task is not None:
                self._open(posted.task)
            self.withheld.forget(question)
        for task in tasks:
            posted = self.questions.by_task(self.desk, task.id) if task.has_draft else None
            if posted is not None and posted.question.blind and posted.id not in kept:
                self._open(task.id)

    def _open(self, task: int) -> None:
        for draft in self._placeholders(task):
            self.label_studio.delete_draft(draft)

    def _placeholders(self, task: int) -> list[int]:
        """Our drafts on a task; one that somebody has filled since is that person's."""
        drafts = self.label_studio.drafts(task)
        return [draft.id for draft in drafts if draft.empty and draft.import_id == wire.PLACEHOLDER]
