"""Numbers for people."""

from __future__ import annotations

import math

import pytest

from quantcli.comparison.reports.numbers import show, show_apart, show_change, show_interval


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("cosine_text", 0.99987654321, "0.999877"),
        ("cosine_text", 1, "1.000000"),
        ("cosine_text_min", -0.5, "-0.500000"),
        ("spearman_image", 0.5, "0.500000"),
        ("sqnr_logits", 43.219, "43.22 dB"),
        ("sqnr_logits", math.inf, "infinite"),
        ("sqnr_logits", -math.inf, "-infinite"),
        ("kl_mean", 0.0123456, "0.0123"),
        ("kl_mean", 0.02, "0.0200"),
        ("kl_mean", 1.5e-7, "1.50e-07"),
        ("kl_mean", 0.0, "0"),
        ("kl_mean", math.nan, "NaN"),
        ("kl_mean", None, "not measured"),
        ("top1_agreement", 0.995, "0.9950"),
        ("max_logit_difference", 3.14159, "3.14"),
        ("perplexity_original", 12.34567, "12.346"),
        ("perplexity_ratio", 1.001234, "1.00123"),
        ("perplexity_ratio_error", 0.00012345, "0.000123"),
        ("tokens_per_second_original", 123.456, "123.5"),
        ("bytes_original", 1710466052, "1.710 GB"),
        ("bytes_original", 544_321_000, "544.321 MB"),
        ("bytes_original", 1234, "1.234 KB"),
        ("bytes_original", 999, "999 B"),
        ("peak_rss_quantized", 2e9, "2.000 GB"),
        ("latency_original_p95", 12.3456, "12.35 ms"),
        ("size_ratio", 0.31823, "0.318"),
        ("latency_ratio", 1.2, "1.200"),
        ("coverage", 0.98765, "0.9877"),
        ("nonfinite_text", 3.0, "3"),
    ],
)
def test_show(metric, value, text):
    assert show(metric, value) == text


@pytest.mark.parametrize(
    ("metric", "value", "limit", "texts"),
    [
        ("cosine_text", 0.99995, 0.9999, ("0.999950", "0.9999")),
        ("cosine_text", 0.99989996, 0.9999, ("0.99989996", "0.9999")),
        ("cosine_text", 0.9999, 0.9999, ("0.9999", "0.9999")),
        ("size_ratio", 0.4119, 0.4119, ("0.4119", "0.4119")),
        ("bytes_original", 1.5e9, 1.5e9, ("1.500 GB", "1.500 GB")),
        ("kl_mean", 0.0200012, 0.02, ("0.020001", "0.02")),
        ("size_ratio", 0.3256, 0.3255, ("0.3256", "0.3255")),
        ("kl_mean", 0.02, 0.0104837261, ("0.0200", "0.0105")),
        ("bytes_quantized", 545_000_123, 545e6, ("545.0001 MB", "545.0000 MB")),
        ("latency_quantized", 10.0, 20.0, ("10.00 ms", "20.00 ms")),
        ("kl_mean", None, 0.02, ("not measured", "0.02")),
        ("kl_mean", math.nan, 0.02, ("NaN", "0.02")),
        ("nonfinite_text", 3.0, 0.0, ("3", "0")),
        ("top1_agreement", 1 - 1e-16, 1.0, ("0.9999999999999999", "1")),
    ],
)
def test_a_value_is_told_from_its_limit(metric, value, limit, texts):
    assert show_apart(metric, value, limit) == texts


def test_intervals_and_changes():
    assert show_interval("kl_mean", 0.01, 0.02) == "0.0100 to 0.0200"
    assert show_interval("kl_mean", None, 0.02) == ""
    assert show_change("size_ratio", 0.3, 0.25) == "-0.050"
    assert show_change("size_ratio", 0.3, 0.3) == "+0.000"
    assert show_change("kl_mean", 0.01, 0.03) == "+0.0200"
    assert show_change("sqnr_x", math.inf, math.inf) == "NaN"
    assert show_change("sqnr_x", 1.0, math.inf) == "+infinite"
