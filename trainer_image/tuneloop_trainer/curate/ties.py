"""What must stay on one side of the split: groups of threads, tied by what they share."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tuneloop_trainer.curate.similarity import SAME_QUESTION, Index, Question
from tuneloop_trainer.curate.thread import Thread


@dataclass(frozen=True, eq=False)
class Group:
    threads: tuple[Thread, ...]

    @cached_property
    def sizes(self) -> Counter[str]:
        """Examples of each domain."""
        return sizes(self.threads)

    @cached_property
    def name(self) -> str:
        """Of its first conversation by name: it stays while newer traffic comes and goes."""
        return min(thread.last.talk for thread in self.threads)


def sizes(threads: Sequence[Thread]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for thread in threads:
        counts[thread.last.domain] += len(thread.turns)
    return counts


def tied_by_text(threads: Sequence[Thread]) -> list[Group]:
    """By a conversation or by a question, in other words too, however indirectly; across domains."""
    members = tied([thread.last.talk for thread in threads], [[turn.asked for turn in thread.turns] for thread in threads])
    return [Group(tuple(threads[n] for n in places)) for places in members]


def tied(talks: Sequence[str], asked: Sequence[Sequence[Question]]) -> list[list[int]]:
    """The places of each group of `talks`, which have these questions."""
    sets = _UnionFind(len(talks))
    first: dict[str, int] = {}
    questions = [(question, n) for n, each in enumerate(asked) for question in each]
    index: Index[int] = Index(SAME_QUESTION, [question for question, _ in questions], ())
    for n, talk in enumerate(talks):
        sets.union(n, first.setdefault(talk, n))
    for question, n in questions:
        for other in index.alike(question):
            sets.union(n, other)
        index.add(question, n)
    return sets.groups()


def tied_by_user(groups: Sequence[Group], limit: Mapping[str, int]) -> list[Group]:
    """And by their users, those with the fewest examples first, while a group stays within `limit` in each of its domains.

    A user who is tied never praises what he taught. One who made most of a domain is not tied: his rows would be all of one side,
    and there would be no other. Who is anonymous is tied to nobody.
    """
    sets = _UnionFind(len(groups))
    weights = [group.sizes for group in groups]
    users: dict[str, list[int]] = defaultdict(list)
    for n, group in enumerate(groups):
        for user in {turn.user for thread in group.threads for turn in thread.turns} - {""}:
            users[user].append(n)
    for _, members in sorted(users.items(), key=lambda item: (sum(weights[n].total() for n in item[1]), item[0])):
        roots = sorted({sets.root(n) for n in members})
        whole = sum((weights[root] for root in roots), Counter())
        if all(size <= limit.get(domain, 0) for domain, size in whole.items()):
            for root in roots:
                sets.union(root, roots[0])
            weights[sets.root(roots[0])] = whole
    return [Group(tuple(thread for n in members for thread in groups[n].threads)) for members in sets.groups()]


class _UnionFind:
    """Union-find over 0..count-1."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, n: int) -> int:
        while self._parent[n] != n:
            self._parent[n] = n = self._parent[self._parent[n]]
        return n

    def union(self, one: int, other: int) -> None:
        self._parent[self.root(one)] = self.root(other)

    def groups(self) -> list[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for n in range(len(self._parent)):
            found[self.root(n)].append(n)
        return list(found.values())
