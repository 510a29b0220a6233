"""The report as an HTML page: the verdict first, then what is behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from quantcli.comparison.gates import Judgement, Verdict
from quantcli.comparison.reports import rows
from quantcli.comparison.reports.distributions import distribution_charts
from quantcli.comparison.reports.formats import report_format
from quantcli.comparison.reports.report import Report
from quantcli.comparison.results import Comparison, Generated, SideSummary
from quantcli.inspection.page import origin
from quantcli.inspection.sections import bytes_section, error_section
from quantcli.page import Badge, Block, Facts, Note, Page, Section, Table, TextPair, render
from quantcli.page.blocks import Tone
from quantcli.page.charts import Pair, bars
from quantcli.text import plural

MAX_CHARTS = 6
"""Maximum number of distributions: a model may have dozens of outputs."""

SIDES = ("original", "quantized")


@report_format("html")
def html(report: Report) -> str:
    """Return the report as one self-contained HTML file. Raises `UsageError` without the extra."""
    return render(page(report))


def page(report: Report) -> Page:
    """Return the report as a page; sections without anything in them are left out."""
    comparison = report.comparison
    sections = {
        "Gates": _table(rows.GATE_COLUMNS, rows.gate_rows(report), tones=_tones(report)),
        "Metrics": _table(rows.METRIC_COLUMNS, rows.metric_rows(comparison)),
        "Size and speed": _sides(comparison),
        **_weights(report),
        "Distributions behind the metrics": _distributions(report),
        "Generated texts": _texts(comparison),
        "Against the baseline": _table(rows.CHANGE_COLUMNS, rows.change_rows(report)),
        "Not covered by the samples": _unreached(comparison),
        "Notices": map(Note, comparison.notices),
        "Provenance": _provenance(report),
    }
    found = [Section(title, [*blocks]) for title, blocks in sections.items()]
    return Page(
        title=f"{comparison.quantized.model} against {comparison.original.model}",
        subject=rows.subject(comparison),
        badge=_badge(report.judgement),
        sections=[section for section in found if section.blocks],
    )


def _badge(judgement: Judgement) -> Badge:
    if not judgement.verdicts:
        return Badge(words="No gates", sentence="The metrics were measured, not judged.")
    words, sentence = rows.verdict(judgement)
    uncertain = any(verdict.uncertain for verdict in judgement.verdicts)
    tone: Tone = "bad" if not judgement.passed else "unsure" if uncertain else "good"
    return Badge(words=words, sentence=f"{sentence.lstrip(',: ').capitalize()}.", tone=tone)


def _tones(report: Report) -> list[Tone]:
    return [_tone(verdict, report.judgement) for verdict in report.judgement.verdicts]


def _tone(verdict: Verdict, judgement: Judgement) -> Tone:
    if not judgement.accepts(verdict):
        return "bad"
    return "unsure" if verdict.uncertain else "good"


def _table(
    columns: Sequence[str], cells: Iterable[Sequence[str]], *, tones: Sequence[Tone] = ()
) -> Iterator[Table]:
    found = [*cells]
    if found:
        yield Table(columns=columns, rows=found, numbers=rows.NUMBERS, code=rows.CODE, tones=tones)


def _sides(comparison: Comparison) -> Iterator[Block]:
    """Yield bars for what can be drawn as a ratio to the original; their table has all."""
    cells = rows.side_rows(comparison)
    pairs = [*_pairs(comparison, cells)]
    tables = [*_table(rows.SIDE_COLUMNS, cells)]
    if pairs:
        yield bars("Size, speed and more, relative to the original", pairs, SIDES)
    yield from tables


def _pairs(comparison: Comparison, cells: Iterable[Sequence[str]]) -> Iterator[Pair]:
    for names, (label, *shown, _) in zip(rows.sides(comparison), cells, strict=True):
        original, quantized = (comparison.metrics[name].value for name in names)
        if original > 0 and math.isfinite(quantized / original):
            yield Pair(label=label, values=(original, quantized), shown=(shown[0], shown[1]))


def _weights(report: Report) -> dict[str, Sequence[Block]]:
    """Return the sections on the weights themselves, by title."""
    if report.inspection is None:
        return {}
    found = (bytes_section(report.inspection), error_section(report.inspection))
    return {section.title: section.blocks for section in found}


def _distributions(report: Report) -> Iterator[Block]:
    charts = [*distribution_charts(report)]
    yield from charts[:MAX_CHARTS]
    if len(charts) > MAX_CHARTS:
        yield Note(f"{plural(len(charts) - MAX_CHARTS, 'more metric')} of this kind in --json.")


def _texts(comparison: Comparison) -> Iterator[Block]:
    generated = comparison.generated
    shown = rows.shown_texts(generated)
    if len(shown) < len(generated):
        yield Note(rows.texts_left_out(generated))
    for text in shown:
        yield TextPair(prompt=text.prompt, titles=SIDES, texts=_trimmed(text))


def _trimmed(text: Generated) -> tuple[str, str]:
    """Return both texts without the space around them, unless that is how they differ."""
    original, quantized = text.original.strip(), text.quantized.strip()
    if (original == quantized) != text.same:
        return text.original, text.quantized
    return original or "(nothing)", quantized or "(nothing)"


def _unreached(comparison: Comparison) -> Iterator[Block]:
    cells = rows.unreached_rows(comparison)
    if cells:
        yield Note(f"{rows.UNREACHED_TITLE}:")
    yield from _table(rows.UNREACHED_COLUMNS, cells)


def _provenance(report: Report) -> Iterator[Block]:
    comparison = report.comparison
    for title, side in zip(SIDES, (comparison.original, comparison.quantized), strict=True):
        yield Facts(pairs=dict(_side_facts(title, side)))
    facts = {
        "versions": ", ".join(f"{name} {found}" for name, found in comparison.versions.items())
    }
    if comparison.kernels:
        facts["computed with"] = comparison.kernels
    facts["samples"] = f"{comparison.samples}, sha256 {comparison.sample_hash}"
    yield Facts(pairs=facts | {"seed": str(comparison.seed), "took": f"{comparison.seconds:.1f} s"})
    if report.inspection is not None:
        yield from origin(report.inspection)


def _side_facts(title: str, side: SideSummary) -> Iterator[tuple[str, str]]:
    yield title, side.model
    yield "revision", side.revision or "none: a folder"
    yield "class", side.architecture
    if side.weights is not None:
        yield "weights", side.weights
    yield "fingerprint", side.fingerprint
