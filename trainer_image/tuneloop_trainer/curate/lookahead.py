"""What is worked out for many at once, in less time, though they go by one by one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Generic, TypeVar

BATCH = 512
"""Items that are read before they are needed."""

T = TypeVar("T")
V = TypeVar("V")


def lookahead(items: Iterable[T], work: Callable[[Sequence[T]], Sequence[V]]) -> Iterator[tuple[T, Callable[[], V]]]:
    """Each with a way to ask what `work` makes of it: the first of a batch to be asked has it done for all of them."""
    rest = iter(items)
    while items := tuple(islice(rest, BATCH)):
        batch = _Batch(items, work)
        yield from ((item, partial(batch.made_of, place)) for place, item in enumerate(items))


@dataclass(frozen=True)
class _Batch(Generic[T, V]):
    items: Sequence[T]
    work: Callable[[Sequence[T]], Sequence[V]]

    @cached_property
    def _made(self) -> Sequence[V]:
        return self.work(self.items)

    def made_of(self, place: int) -> V:
        return self._made[place]
