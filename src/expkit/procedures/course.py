"""What asks for its epochs one by one: alone it trains them, among others they are shared."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from expkit.engine.loop import Curriculum, Epoch, Learner

T = TypeVar("T")


@dataclass(frozen=True)
class Wish:
    """An epoch that a learner is to be trained before its course goes on."""

    learner: Learner
    curriculum: Curriculum
    place: int  # of the stage in the procedure
    number: int  # of the epoch, from 1

    def grant(self) -> Epoch:
        """Train it, by itself."""
        from expkit.engine.loop import train_epoch

        return train_epoch(self.learner, self.curriculum, self.number)


Course = Generator[Wish, "Epoch", T]
"""Yields wishes, is sent the epochs, and returns a result."""


def go_alone(course: Course[T]) -> T:
    """Train every epoch as it is wished for; the course's result.

    What goes wrong in an epoch, an interruption too, is raised where the course wished for it.
    """
    try:
        wish = next(course)
        while True:
            try:
                epoch = wish.grant()
            except BaseException as error:
                wish = course.throw(error)
            else:
                wish = course.send(epoch)
    except StopIteration as end:
        result: T = end.value
        return result
