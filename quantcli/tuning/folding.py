"""The fewest rules that choose for every module what the search chose, as a person would write."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from quantcli.recipe import Choice, Recipe
from quantcli.text import layer_pattern
from quantcli.tuning.candidates import KEEP, Candidate
from quantcli.tuning.globs import literal, number_globs, split_number

_SAME = 2
"""From how many kinds of modules on one rule stands for all in a module: `*.mlp.*`."""


@dataclass(frozen=True, slots=True)
class FoldedRule:
    """One rule: a glob of module names, and what they become."""

    match: str
    candidate: Candidate

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as a recipe has it."""
        return {"match": self.match, **self.candidate.rule()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """The keys of a recipe that choose the dtypes: `weights`, `embeddings` and the rules."""

    weights: str
    embeddings: str
    rules: tuple[FoldedRule, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the keys as a recipe has them."""
        return {
            "weights": self.weights,
            "embeddings": self.embeddings,
            "rules": [rule.to_dict() for rule in self.rules],
        }


def fold(chosen: Mapping[str, Candidate], embeddings: Collection[str]) -> Folded:
    """Return the keys of a recipe that choose these candidates, by the name of the module.

    `embeddings` names those of the modules that are embeddings.
    """
    usual = _most_common(c for name, c in chosen.items() if name not in embeddings)
    tables = _most_common(c for name, c in chosen.items() if name in embeddings)
    base = usual or tables or Candidate("int8")
    folded = Folded(
        weights=base.weights,
        embeddings=tables.weights if tables else KEEP.weights,
        rules=tuple(_rules(chosen)),
    )
    folded = _without_needless(folded, chosen, embeddings)
    wrong = [
        FoldedRule(literal(name), candidate)
        for name, candidate in chosen.items()
        if found(folded, name, is_embedding=name in embeddings) != candidate
    ]
    # names that nest may be matched by rules for others: a rule of their own comes first
    rules = (*wrong, *folded.rules)
    return Folded(weights=folded.weights, embeddings=folded.embeddings, rules=rules)


def found(folded: Folded, name: str, *, is_embedding: bool) -> Candidate:
    """Return what the recipe with these keys chooses for a module."""
    recipe = Recipe.parse(folded.to_dict())
    return candidate_of(recipe.choose(name, is_embedding=is_embedding))


def candidate_of(choice: Choice) -> Candidate:
    """Return the choice of a recipe as a candidate."""
    return KEEP if choice.weights is None else Candidate(choice.weights, choice.group_size)


def _most_common(candidates: Iterable[Candidate]) -> Candidate | None:
    """Return the candidate of most modules that are quantized, None without any."""
    counts = Counter(candidate for candidate in candidates if candidate != KEEP)
    return counts.most_common(1)[0][0] if counts else None


def _rules(chosen: Mapping[str, Candidate]) -> Iterator[FoldedRule]:
    """Yield rules for modules that differ from others of their kind, then one for each kind."""
    kinds: dict[str, dict[str, Candidate]] = defaultdict(dict)
    for name, candidate in chosen.items():
        kinds[layer_pattern(name)][name] = candidate
    general: dict[str, Candidate] = {}
    for pattern, members in kinds.items():
        usual = Counter(members.values()).most_common(1)[0][0]
        general[pattern] = usual
        yield from _exceptions({n: c for n, c in members.items() if c != usual})
    for pattern, candidate in _joined(general).items():
        yield FoldedRule(_shortened(pattern, chosen), candidate)


def _exceptions(members: Mapping[str, Candidate]) -> Iterator[FoldedRule]:
    """Yield rules for modules of one kind, folded where they differ in their first number."""
    series: dict[tuple[Candidate, str, str], list[str]] = defaultdict(list)
    for name, candidate in members.items():
        before, number, after = split_number(name)
        series[candidate, before, after].append(number)
    for (candidate, before, after), numbers in series.items():
        for glob in number_globs(numbers) if numbers != [""] else [""]:
            yield FoldedRule(f"{literal(before)}{glob}{literal(after)}", candidate)


def _joined(general: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """Return one pattern for all kinds of modules in a module, where they become the same."""
    parents: dict[str, list[str]] = defaultdict(list)
    for pattern in general:
        parents[pattern.rpartition(".")[0]].append(pattern)
    joined = {}
    for pattern, candidate in general.items():
        parent = pattern.rpartition(".")[0]
        siblings = parents[parent]
        inner = [other for other in general if other.startswith(f"{parent}.")]
        same = len({general[other] for other in inner}) == 1
        if parent and same and len(siblings) >= _SAME and parent.count("*"):
            pattern = f"{parent}.*"  # noqa: PLW2901 - the pattern of all of them
        joined[pattern] = candidate
    return joined


def _shortened(pattern: str, chosen: Mapping[str, Candidate]) -> str:
    """Return `*.mlp.up_proj` for `model.layers.*.mlp.up_proj`, if it matches the same modules."""
    _, star, rest = pattern.partition(".*.")
    short = f"*.{rest}"
    if not star or "*" in rest.removesuffix(".*"):
        return pattern
    same = all(fnmatch(name, short) == fnmatch(name, pattern) for name in chosen)
    return short if same else pattern


def _without_needless(
    folded: Folded, chosen: Mapping[str, Candidate], embeddings: Collection[str]
) -> Folded:
    """Leave out each rule without which every module gets the same, the last ones first."""
    names = {name: name in embeddings for name in chosen}

    def outcome(rules: tuple[FoldedRule, ...]) -> dict[str, Candidate]:
        made = Folded(weights=folded.weights, embeddings=folded.embeddings, rules=rules)
        recipe = Recipe.parse(made.to_dict())
        return {n: candidate_of(recipe.choose(n, is_embedding=e)) for n, e in names.items()}

    rules = folded.rules
    wanted = outcome(rules)
    for rule in reversed(folded.rules):
        fewer = tuple(other for other in rules if other is not rule)
        if outcome(fewer) == wanted:
            rules = fewer
    return Folded(weights=folded.weights, embeddings=folded.embeddings, rules=rules)
