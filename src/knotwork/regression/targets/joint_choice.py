"""Which formulas several targets have: those that take the fewest bits together."""

from collections.abc import Iterator, Sequence

from knotwork.regression.failures import Failures
from knotwork.regression.targets.common_parts import keyed, parts_within
from knotwork.regression.targets.laws import Law, TargetRows, alone, total_bits
from knotwork.regression.targets.proposals import law_found, pool_of_terms, proposals
from knotwork.regression.targets.settings import TARGETS
from knotwork.training import Reporter


def joint_choice(targets: Sequence[TargetRows], failures: Failures, reporter: Reporter) -> list[Law]:
    """The formulas of all targets, from those found for each alone and sums of all their terms.

    The bits of parts in common are counted once. A target gets another formula only if this has more in common with
    those of others than its own one, so that targets which share nothing keep what was found for each. Of all changes,
    of one target or of several that get the same part, the one that saves the most bits comes first: the order of
    targets does not matter. No formula is taken whose residuals tell that it is worse than what was found for its
    target alone.
    """
    own = [law_found(target) for target in targets]
    terms, holders = pool_of_terms(targets)
    choices: list[list[Law]] = []
    for target, before in zip(targets, own, strict=True):
        found = [] if reporter.late else proposals(target, terms, holders, failures, reporter)
        choices.append([law for law in found if not target.worse(law.mse, before.mse, before.decimals - law.decimals)])
    laws, best = own, total_bits(targets, own)
    while True:
        changes = reporter.timely(_changes(targets, laws, choices))
        tried = [(total_bits(targets, new), new) for new in changes if _share_more(targets, new, laws, own)]
        bits, new = min(tried, key=lambda one: one[0], default=(best, laws))
        if bits > best - TARGETS.least_gain:
            return laws
        laws, best = new, bits


def _share_more(targets: Sequence[TargetRows], new: list[Law], laws: list[Law], own: list[Law]) -> bool:
    """Whether every formula that is changed saves more bits, by what others have, than the one found alone does."""
    for n, law in enumerate(new):
        if law is not laws[n] and law is not own[n]:
            others = [*new[:n], *new[n + 1 :]]
            rest = [*targets[:n], *targets[n + 1 :]]
            before = alone(targets[n], own[n]) - _added(targets, [*new[:n], own[n], *new[n + 1 :]], rest, others)
            if alone(targets[n], law) - _added(targets, new, rest, others) <= before + TARGETS.least_gain:
                return False
    return True


def _added(targets: Sequence[TargetRows], laws: list[Law], rest: Sequence[TargetRows], others: list[Law]) -> float:
    """Bits that one formula adds to those of the others."""
    return total_bits(targets, laws) - total_bits(rest, others)


def _changes(targets: Sequence[TargetRows], laws: list[Law], choices: Sequence[list[Law]]) -> Iterator[list[Law]]:
    """The formulas with one of them changed, then with those of several targets that get the same part."""
    for n, own in enumerate(choices):
        for law in own:
            if law is not laws[n]:
                yield [*laws[:n], law, *laws[n + 1 :]]
    with_part = [_best_with_each_part(target, own) for target, own in zip(targets, choices, strict=True)]
    for shape in sorted({shape for own in with_part for shape in own}):
        loss = [
            (own[shape][0] - alone(target, law), n)
            for n, (target, law, own) in enumerate(zip(targets, laws, with_part, strict=True))
            if shape in own and own[shape][1] is not law
        ]
        ranked = [n for _, n in sorted(loss)]
        for count in range(2, len(ranked) + 1):
            changed = set(ranked[:count])
            yield [with_part[n][shape][1] if n in changed else law for n, law in enumerate(laws)]


def _best_with_each_part(target: TargetRows, laws: Sequence[Law]) -> dict[str, tuple[float, Law]]:
    """For every shape of a part, the bits and the formula that is the shortest alone of those that have it."""
    found: dict[str, tuple[float, Law]] = {}
    for law in laws:
        bits = alone(target, law)
        for shape in {keyed(part).shape for form in law.forms for part in parts_within(form)}:
            if shape not in found or bits < found[shape][0]:
                found[shape] = bits, law
    return found
