"""Pages with everything in them, made from results that were never measured."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path

import comparisons
import tiny

import quantcli
from quantcli.comparison.gates import Requirements, gates_of, judge
from quantcli.comparison.reports import Report, html
from quantcli.comparison.results import Comparison, Generated, Measurement
from quantcli.explanation.page import page as explanation_page
from quantcli.inspection import (
    Distribution,
    Histogram,
    Inspection,
    TensorError,
    TensorInspection,
)
from quantcli.inspection.page import page as inspection_page
from quantcli.page import render

HOSTILE = "</script><script>document.title = 'taken over'</script><b>&amp;"
"""A name that must stay a name."""

LAYERS = 6


def error(noise: float) -> TensorError:
    return TensorError(values=64, signal=100.0, result=100.0, product=100.0, noise=noise)


def tensor(name: str, **changes) -> TensorInspection:
    values = {
        "name": name,
        "module": name.rpartition(".")[0],
        "dtype": "float32",
        "shape": (8, 8),
        "bytes": 256,
        "original_bytes": 256,
        "original_dtype": "float32",
        "share": 0.1,
    }
    return TensorInspection(**(values | changes))


def inspection() -> Inspection:
    """Return an inspection of a frozen model with layers, an embedding, and a hostile name."""
    found = [tensor("embeddings.weight", bytes=4096, original_bytes=4096, reason="kept")]
    for layer in range(LAYERS):
        for rank, place in enumerate(("attention.query", "attention.value", "mlp.up", "mlp.down")):
            name = f"encoder.layer.{layer}.{place}.weight"
            noise = error(10.0 ** -(rank + layer / 2))
            found.append(tensor(name, qtype="qint8", action="quantize", bytes=96, error=noise))
    found.append(tensor(f"head.{HOSTILE}", qtype="qint4", group_size=32, bytes=64, error=error(1)))
    return Inspection(
        model="name-int8",
        revision=None,
        architecture="BertModel",
        frozen=True,
        weights="int8",
        bytes=sum(each.bytes for each in found),
        original_bytes=sum(each.original_bytes or 0 for each in found),
        against="org/name",
        against_revision="abc",
        tensors=tuple(found),
        origin={
            "source": {"model": "org/name", "revision": "abc"},
            "recipe": {"weights": "int8", "include": []},
            "versions": {"quantcli": "0.1.0"},
        },
        notices=("a notice",),
        histogram=Histogram(
            tensor="encoder.layer.0.mlp.up.weight",
            edges=(-9.0, -1.0, 0.0, 1.0, 9.0),
            values=distribution(2, 28, 30, 4),
            original=distribution(1, 30, 30, 3),
        ),
    )


def distribution(*bins: int) -> Distribution:
    return Distribution(
        count=sum(bins),
        not_finite=0,
        zeros=0,
        minimum=-9.0,
        maximum=9.0,
        mean=0.0,
        deviation=1.0,
        quantiles={0.5: 0.0},
        bins=bins,
    )


def compared() -> Comparison:
    """Return a comparison of language models with every kind of result."""
    draw = random.Random(0)
    kl = tuple(draw.lognormvariate(-4, 2) for _ in range(400))
    metrics = {
        "kl_mean": Measurement(value=sum(kl) / len(kl), low=0.01, high=0.2, observed=kl),
        "top1_agreement": Measurement(value=0.97, low=0.95, high=0.98),
        **{
            name: Measurement(value=value)
            for name, value in {
                "bytes_original": 4096.0,
                "bytes_quantized": 1024.0,
                "size_ratio": 0.25,
                "coverage": 0.9,
                "latency_original": 10.0,
                "latency_quantized": 31.0,
                "latency_ratio": 3.1,
            }.items()
        },
    }
    texts = (
        Generated(prompt="Once", original="upon a time there was", quantized="upon a time was"),
        Generated(prompt=HOSTILE, original="the same", quantized="the same"),
    )
    found = comparisons.comparison(
        task="causal-lm",
        generated=texts,
        unreached=("encoder.layer.0.mlp.up", "encoder.layer.1.mlp.up"),
        notices=(HOSTILE,),
    )
    return replace(found, metrics=metrics)


def report(**gates: float) -> Report:
    """Return the report of a comparison with gates."""
    comparison = compared()
    requirements = Requirements(gates=gates_of(gates or {"max_kl": 0.001, "min_top1": 0.9}))
    return Report(comparison, judge(comparison, requirements), inspection=inspection())


def explained() -> str:
    """Return the page that explains a weight of a tiny model."""
    with tempfile.TemporaryDirectory() as folder:
        tiny.save("bert", Path(folder))
        return render(explanation_page(quantcli.explain(folder, weights="int4")))


PAGES = {
    "compare": lambda: html(report()),
    "inspect": lambda: render(inspection_page(inspection())),
    "explain": explained,
}
"""Every kind of page, by the name of its command."""
