"""Error-compensated rounding, against a literal reference and where plain rounding stands."""

from __future__ import annotations

import pytest
import torch

from quantcli.formats import format_named
from quantcli.quantizers import blockwise
from quantcli.quantizers import compensated as module
from quantcli.quantizers.compensated import compensated
from quantcli.quantizers.grid import Grid, Storage, search
from quantcli.quantizers.second_moment import DAMPING, SHRINKAGE, column_order, damped

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
FORMATS = ["int4", "int2"]

by_format = pytest.mark.parametrize("name", FORMATS)
by_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def weight(rows=24, columns=64, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator).to(dtype)


def correlated(columns=64, samples=500, seed=1):
    """Return the second moment of inputs that depend on each other, of unlike sizes."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator) / columns**0.5
    inputs = torch.randn(samples, columns, generator=generator) @ (mixing + torch.eye(columns))
    inputs *= torch.rand(columns, generator=generator) * 3
    return inputs.T @ inputs


def dequantized(found, shape):
    """Return what Quanto makes of it, in the dtype of the scale."""
    codes = found.codes.reshape(len(found.scale), -1)
    return (found.scale * codes - found.shift).reshape(shape)


def with_max(rows, name, group_size, dtype):
    groups = rows.reshape(-1, group_size).to(dtype)
    codes = torch.empty(groups.shape, dtype=torch.uint8)
    scale, shift = torch.empty(2, len(groups), 1, dtype=dtype)
    blockwise.affine(groups.clone(), format_named(name), codes, scale, shift)
    return (scale * codes - shift).reshape(rows.shape)


def with_search(rows, moment, name, group_size, dtype):
    storage = Storage(maximum=int(format_named(name).maximum), dtype=dtype)
    parts = []
    for start in range(0, rows.shape[1], group_size):
        columns = rows[:, start : start + group_size].T.float()
        grid = search(columns, moment.diagonal()[start : start + group_size], storage)
        parts.append(grid.values(grid.codes(columns)).T)
    return torch.cat(parts, dim=1)


def output_error(rows, rounded, moment):
    off = (rows.float() - rounded.float()).double()
    return (off @ moment.double() * off).sum().item()


def run(rows, moment, name="int4", group_size=32, dtype=None, **options):
    dtype = dtype or rows.dtype
    return compensated(rows, moment, format_named(name), group_size, dtype=dtype, **options)


@by_dtype
@by_format
def test_the_output_error_is_below_that_of_max_and_of_the_search_alone(name, dtype):
    rows, moment = weight(dtype=dtype), correlated()
    found = output_error(rows, dequantized(run(rows, moment, name), rows.shape), moment)
    searched = output_error(rows, with_search(rows, moment, name, 32, dtype), moment)
    plain = output_error(rows, with_max(rows, name, 32, dtype), moment)
    assert found < 0.75 * searched
    assert searched < plain


def literal(rows, moment, name, group_size):
    """Round one number at a time in float64: the algorithm as the paper has it, row by row."""
    maximum, order = int(format_named(name).maximum), column_order(moment, group_size).tolist()
    ordered = moment.double()[order][:, order]
    ordered /= ordered.diagonal().mean()
    ordered += torch.diag(SHRINKAGE * ordered.diagonal() + DAMPING)
    factor = torch.linalg.cholesky(torch.linalg.inv(ordered), upper=True)
    codes = torch.zeros(rows.shape, dtype=torch.uint8)
    for row, values in enumerate(rows.double()):
        left = values[order].clone()
        for start in range(0, len(left), group_size):
            group = slice(start, start + group_size)
            scale, shift = best_range(left[group], ordered.diagonal()[group], maximum)
            for i in range(start, start + group_size):
                code = ((left[i] + shift) / scale).round().clamp(0, maximum)
                error = (left[i] - (scale * code - shift)) / factor[i, i]
                codes[row, order[i]] = int(code)
                for j in range(i + 1, len(left)):
                    left[j] -= error * factor[i, j]
    return codes


def best_range(values, weights, maximum):
    smallest = {15: 0.7, 3: 0.3}[maximum]
    shares = torch.linspace(1, smallest, 7).tolist()
    tried = []
    for lower in shares:
        for upper in shares:
            low, high = values.min() * lower, values.max() * upper
            scale = ((high - low) / maximum).float().double()
            shift = -low.float().double()
            rounded = scale * ((values + shift) / scale).round().clamp(0, maximum) - shift
            tried.append((float((weights * (values - rounded) ** 2).sum()), scale, shift))
    _, scale, shift = min(tried, key=lambda one: one[0])
    return scale, shift


@by_format
def test_codes_of_the_first_pass_equal_those_of_a_literal_reference(name, monkeypatch):
    monkeypatch.setattr(module, "_SWEEPS", 0)
    rows, moment = weight(rows=5, columns=24), correlated(columns=24)
    assert torch.equal(run(rows, moment, name, 8).codes, literal(rows, moment, name, 8))


@by_dtype
@by_format
def test_each_sweep_lowers_the_error_of_every_row(name, dtype, monkeypatch):
    rows, moment = weight(dtype=dtype), correlated()
    order = column_order(moment, 32)
    weighed = torch.zeros(64, 64)
    weighed[order[:, None], order] = damped(moment[order][:, order])
    before = None
    for sweeps in range(3):
        monkeypatch.setattr(module, "_SWEEPS", sweeps)
        off = rows.float() - dequantized(run(rows, moment, name), rows.shape).float()
        errors = (off @ weighed * off).sum(dim=1)
        assert before is None or (errors <= before * 1.001).all()
        assert before is None or errors.sum() < before.sum()
        before = errors


@by_format
def test_after_many_sweeps_no_other_code_of_one_column_is_better(name, monkeypatch):
    monkeypatch.setattr(module, "_SWEEPS", 30)
    rows, moment = weight(rows=4, columns=16), correlated(columns=16)
    found = run(rows, moment, name, 16)
    moment = moment + torch.diag(SHRINKAGE * moment.diagonal() + DAMPING * moment.diagonal().mean())
    for row, codes in enumerate(found.codes):
        values = found.scale[row] * codes - found.shift[row]
        least = output_error(rows[row], values, moment)
        for column in range(16):
            for code in range(int(format_named(name).maximum) + 1):
                other = values.clone()
                other[column] = found.scale[row] * code - found.shift[row]
                assert output_error(rows[row], other, moment) >= least * (1 - 1e-5)


@by_dtype
@by_format
def test_parts_have_quantos_shapes_and_codes_are_in_range(name, dtype):
    rows = weight(dtype=dtype)
    found = run(rows, correlated(), name)
    assert (found.codes.shape, found.codes.dtype) == (rows.shape, torch.uint8)
    assert found.codes.max() == format_named(name).maximum
    assert found.scale.shape == found.shift.shape == (48, 1)
    assert found.scale.dtype == found.shift.dtype == dtype


def test_groups_are_in_quantos_order_whatever_order_they_were_rounded_in():
    moment = correlated(columns=96)
    moment[64:] *= 10
    moment[:, 64:] *= 10
    rows = weight(columns=96) + torch.tensor([0.0, 100.0, 200.0]).repeat_interleave(32)
    rounded = dequantized(run(rows, moment), rows.shape)
    assert column_order(moment, 32)[0] >= 64
    assert (rounded - rows).abs().max() < 50


def test_one_group_for_each_row():
    rows, moment = weight(columns=24), correlated(columns=24)
    none, all_of_it = run(rows, moment, group_size=None), run(rows, moment, group_size=24)
    assert none.scale.shape == (24, 1)
    assert torch.equal(none.codes, all_of_it.codes)


@by_dtype
def test_constant_groups_are_exact(dtype):
    rows = weight(dtype=dtype)
    rows[3] = 0.3
    rows[5] = 0
    found = run(rows, correlated())
    rounded = dequantized(found, rows.shape)
    assert torch.equal(rounded[[3, 5]], rows[[3, 5]])
    assert found.scale.view(24, 2)[[3, 5]].count_nonzero() == 0


@pytest.mark.parametrize("rank", [0, 1, 5])
@by_format
def test_a_moment_without_full_rank_is_damped(name, rank):
    rows, inputs = weight(), torch.randn(rank, 64, generator=torch.Generator().manual_seed(2))
    moment = inputs.T @ inputs
    rounded = dequantized(run(rows, moment, name), rows.shape)
    assert rounded.isfinite().all()
    if rank:
        plain = with_max(rows, name, 32, torch.float32)
        assert output_error(rows, rounded, moment) < 0.1 * output_error(rows, plain, moment)


def test_an_indefinite_moment_is_damped_until_it_has_a_factor():
    moment = correlated()
    moment[0, 1] = moment[1, 0] = 3 * moment.diagonal().max()
    assert dequantized(run(weight(), moment), (24, 64)).isfinite().all()


def test_a_moment_that_is_not_finite_is_an_error():
    moment = correlated()
    moment[2, 3] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        run(weight(), moment)


def test_without_a_moment_columns_are_rounded_to_the_nearest():
    rows = weight()
    found = run(rows, None)
    groups = rows.view(-1, 32)
    nearest = ((groups + found.shift) / found.scale).round().clamp(0, 15)
    assert torch.equal(found.codes.view(-1, 32).float(), nearest)


def test_inputs_that_are_always_zero_are_rounded_to_the_nearest_and_move_nothing():
    rows, moment = weight(), correlated()
    dead = torch.tensor([0, 7, 40])
    moment[dead] = 0
    moment[:, dead] = 0
    rows[:, dead] *= 0.1  # inside the range of their groups
    found = run(rows, moment)
    rounded = dequantized(found, rows.shape)
    scale = found.scale.view(24, 2).repeat_interleave(32, dim=1)
    inside = (found.codes > 0) & (found.codes < 15)
    off = (rounded - rows).abs()[:, dead]
    assert (off <= scale[:, dead] * 0.501)[inside[:, dead]].all()
    changed = rows.clone()
    changed[:, dead] *= -1
    alive = [column for column in range(64) if column not in dead]
    moved = run(changed, moment).codes[:, alive] != found.codes[:, alive]
    assert moved.float().mean() < 0.01


def test_tinygemm_rounds_to_the_shift_that_its_layout_keeps():
    rows, moment = weight(columns=128, dtype=torch.bfloat16) + 1, correlated(columns=128)
    found = run(rows, moment, group_size=128, tinygemm=True)
    plain = run(rows, moment, group_size=128)
    assert torch.equal(blockwise.tinygemm_shift(found.scale, found.shift), found.shift)
    assert not torch.equal(plain.shift, found.shift)


@by_format
def test_a_huge_range_in_float16_stays_finite(name):
    rows = weight(dtype=torch.float16)
    rows[:, ::2] *= 1e-6
    rows[0, 0], rows[0, 1], rows[1] = 65504, -65504, 6e-8
    found = run(rows, correlated(), name)
    assert dequantized(found, rows.shape).isfinite().all()


def test_it_is_deterministic_and_a_row_stands_for_itself():
    rows, moment = weight(), correlated()
    one, two, part = run(rows, moment), run(rows, moment), run(rows[4:9], moment)
    assert torch.equal(one.codes, two.codes)
    assert torch.equal(one.scale, two.scale)
    assert (part.codes != one.codes[4:9]).float().mean() < 0.01


def test_what_it_is_given_is_not_changed():
    rows, moment = weight(), correlated()
    before = rows.clone(), moment.clone()
    run(rows, moment)
    assert torch.equal(rows, before[0])
    assert torch.equal(moment, before[1])


@by_dtype
def test_a_grid_dequantizes_as_quanto_does(dtype):
    storage = Storage(maximum=15, dtype=dtype)
    grid = Grid.of(torch.rand(50) + 0.1, torch.randn(50) * 3, storage)
    codes = torch.randint(16, (8, 50))
    expected = grid.scale.to(dtype) * codes.to(torch.uint8) - grid.shift.to(dtype)
    assert torch.equal(grid.values(codes.float()), expected.float())
