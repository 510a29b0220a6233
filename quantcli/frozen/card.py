"""The model card of a frozen directory."""

from __future__ import annotations

from quantcli.planning import Plan


def model_card(plan: Plan) -> str:
    """Return README.md: front matter, footprint table, what was kept, how to load it."""
    return "\n".join([*_front_matter(plan), "", *_body(plan), ""])


def _front_matter(plan: Plan) -> list[str]:
    lines = ["---", "library_name: transformers"]
    if plan.revision is not None:  # a local folder has no place on the Hub to point to
        lines += [f"base_model: {plan.model}", "base_model_relation: quantized"]
    else:
        lines += [f"base_model: {_base_name(plan.model)}", "base_model_relation: quantized"]
    return [*lines, "tags:", "- quanto", "- quantcli", f"- {plan.weights}", "---"]


def _base_name(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] or model


def _body(plan: Plan) -> list[str]:
    name = _base_name(plan.model)
    original = ", ".join(plan.original_dtypes)
    revision = f" at revision `{plan.revision}`" if plan.revision else ""
    return [
        f"# {name}, {plan.weights}",
        "",
        f"`{name if plan.revision is None else plan.model}`{revision} ({plan.architecture}), its "
        f"weights {'cast to' if not plan.quantized else 'quantized to'} {plan.weights} with "
        "[Quanto](https://github.com/huggingface/optimum-quanto) by quantcli.",
        "",
        "| | dtype | bytes | of the original |",
        "| --- | --- | ---: | ---: |",
        f"| original | {original} | {plan.original_bytes:,} | 100 % |",
        f"| this model | {plan.weights} | {plan.nbytes:,} | {plan.ratio:.1%} |",
        "",
        f"{len(plan.quantized)} tensors are quantized: {plan.coverage:.1%} of the weights.",
        *_kept(plan),
        "",
        "## Load it",
        "",
        "```python",
        "import quantcli",
        "",
        'model = quantcli.load("path/to/this/directory")',
        "```",
        "",
        f"or, once `quantcli` is imported, with transformers: "
        f'`transformers.{plan.architecture}.from_pretrained("path/to/this/directory")`.',
    ]


def _kept(plan: Plan) -> list[str]:
    reasons = plan.kept_reasons()
    if not reasons or not plan.quantized:
        return []
    rows = [f"| {reason} | {count} | {nbytes:,} |" for reason, (count, nbytes) in reasons.items()]
    return ["", "| kept because | tensors | bytes |", "| --- | ---: | ---: |", *rows]
