"""What weights are multiplied with, seen below the modules: against hooks on the modules."""

from __future__ import annotations

import gc
import weakref

import pytest
import tiny
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from quantcli.calibrating.observer import Observer
from quantcli.calibrating.passes import Item, plan_passes
from quantcli.calibrating.sharing import Trace
from quantcli.calibrating.sums import DivergedError, Sums
from quantcli.calibrating.targets import Target, Weights, targets_of
from quantcli.calibrating.windows import windows
from quantcli.calibration import COUNTS, MAXIMUM, MOMENT, ROWS
from quantcli.checkpoint import open_checkpoint
from quantcli.errors import ModelError
from quantcli.planning import read_source

INPUTS = {
    "bert": ("input_ids",),
    "gpt2": ("input_ids",),
    "llama-tied": ("input_ids",),
    "t5-untied": ("input_ids", "decoder_input_ids"),
    "clip": ("input_ids", "pixel_values"),
    "vit": ("pixel_values",),
    "resnet": ("pixel_values",),
    "whisper": ("input_features", "decoder_input_ids"),
}


def inputs_of(model, names):
    made = {
        "input_ids": torch.randint(3, 90, (1, 11)),
        "decoder_input_ids": torch.randint(3, 90, (1, 7)),
    }
    config = model.config
    if "pixel_values" in names:
        vision = getattr(config, "vision_config", config)
        side = getattr(vision, "image_size", 32)
        made["pixel_values"] = torch.randn(1, getattr(vision, "num_channels", 3), side, side)
    if "input_features" in names:
        length = 2 * config.max_source_positions
        made["input_features"] = torch.randn(1, config.num_mel_bins, length)
    return {name: made[name] for name in names}


def opened(tiny_model, kind):
    """Return a model, and its targets."""
    folder = tiny_model(kind)
    source = read_source(open_checkpoint(str(folder)), here=True)
    return type(source.skeleton.model).from_pretrained(folder).eval(), targets_of(source)


def all_of(targets):
    return [Item(target=target, matrices=range(target.matrices)) for target in targets.values()]


def observe(model, targets, *runs, owners=None):
    """Return the sums of what a model was run on, every weight with a moment of its own."""
    tables = [target for target in targets.values() if target.table]
    sums = Sums(all_of(targets), owners or {name: name for name in targets}, tables)
    with Observer(model, Weights(model, targets), sums):
        for inputs in runs:
            model(**inputs)
    sums.finish()
    return sums.tensors()


def unfolded(module, inputs):
    """Return the windows of a convolution without groups, by torch's own `unfold`."""
    if inputs.dim() == 3:
        inputs = inputs[:, :, None]
    two = [(1, *each)[-2:] for each in (module.kernel_size, module.dilation, module.stride)]
    padding = (0, *module.padding)[-2:]
    kernel, dilation, stride = two
    rows = nn.functional.unfold(inputs, kernel, dilation, padding, stride)
    return rows.transpose(1, 2).flatten(0, 1)


def by_hooks(model, inputs):
    """Return X'X of every Linear, Conv1D and plain convolution, by the name of the weight."""
    found = {}

    def hook(name):
        def look(module, args):
            x = args[0].detach()
            rows = unfolded(module, x) if hasattr(module, "stride") else x.flatten(0, -2)
            found[name] = found.get(name, 0) + rows.double().T @ rows.double()

        return look

    kinds = (nn.Linear, Conv1D, nn.Conv1d, nn.Conv2d)
    handles = [
        module.register_forward_pre_hook(hook(f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, kinds) and getattr(module, "groups", 1) == 1
    ]
    with torch.no_grad():
        model(**inputs)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("kind", INPUTS)
def test_moments_are_those_of_the_inputs_of_the_modules(tiny_model, kind):
    model, targets = opened(tiny_model, kind)
    inputs = inputs_of(model, INPUTS[kind])
    expected = by_hooks(model, inputs)
    sums = observe(model, targets, inputs)
    checked = 0
    for name in targets.keys() & expected.keys():
        found = sums[f"{name}.{MOMENT}"][0].double()
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-4)
        assert torch.equal(found, found.T), name
        assert int(sums[f"{name}.{ROWS}"]) > 0
        checked += 1
    assert checked == len([name for name in targets if name in expected]) > 3
    assert expected.keys() - targets.keys() <= {"lm_head.weight", "proj_out.weight"}  # tied


def test_a_tied_head_adds_to_the_table_and_lookups_are_counted(tiny_model):
    model, targets = opened(tiny_model, "llama-tied")
    inputs = inputs_of(model, ["input_ids"])
    sums = observe(model, targets, inputs)
    table = "model.embed_tokens.weight"
    expected = by_hooks(model, inputs)["lm_head.weight"]
    torch.testing.assert_close(
        sums[f"{table}.{MOMENT}"][0].double(), expected, rtol=1e-4, atol=1e-4
    )
    counts = torch.bincount(inputs["input_ids"][0], minlength=targets[table].shape[0])
    assert torch.equal(sums[f"{table}.{COUNTS}"], counts)


def test_every_expert_has_a_moment_of_its_own(tiny_model):
    model, targets = opened(tiny_model, "mixtral")
    routed = []
    layer = "model.layers.0.mlp.experts"
    handle = model.get_submodule(layer).register_forward_pre_hook(
        lambda _, args: routed.append([each.clone() for each in args])
    )
    sums = observe(model, targets, inputs_of(model, ["input_ids"]))
    handle.remove()
    (hidden, chosen, _), name = routed[0], f"{layer}.gate_up_proj"
    for expert in range(targets[name].matrices):
        rows = hidden[(chosen == expert).any(dim=1)]
        assert int(sums[f"{name}.{ROWS}"][expert]) == len(rows)
        found = sums[f"{name}.{MOMENT}"][expert]
        torch.testing.assert_close(found, rows.T @ rows, rtol=1e-4, atol=1e-4)
    assert int(sums[f"{layer}.down_proj.{ROWS}"].sum()) == chosen.numel()


def test_sums_grow_with_the_samples(tiny_model):
    model, targets = opened(tiny_model, "bert")
    one, two = (inputs_of(model, ["input_ids"]) for _ in range(2))
    first, second, both = (observe(model, targets, *runs) for runs in ([one], [two], [one, two]))
    for name, total in both.items():
        if name.endswith(MAXIMUM):
            assert torch.equal(total, torch.maximum(first[name], second[name]))
        else:
            torch.testing.assert_close(total, first[name] + second[name], rtol=1e-4, atol=1e-4)


def test_modules_that_read_the_same_input_share_a_moment(tiny_model):
    model, targets = opened(tiny_model, "llama-untied")
    trace = Trace()
    with Observer(model, Weights(model, targets), trace):
        model(**inputs_of(model, ["input_ids"]))
    owners = trace.shared(targets.values()).owners
    block = "model.layers.0."
    names = {part: f"{block}self_attn.{part}_proj.weight" for part in "qkvo"}
    assert owners[names["k"]] == owners[names["v"]] == names["q"]
    assert owners[f"{block}mlp.up_proj.weight"] == f"{block}mlp.gate_proj.weight"
    assert owners[names["o"]] == names["o"]
    assert owners["lm_head.weight"] == "lm_head.weight"


def test_a_weight_that_only_seemed_to_share_is_found_out(tiny_model):
    model, targets = opened(tiny_model, "llama-untied")
    names = [*targets]
    wrong = {name: name for name in names}
    o, q = (f"model.layers.0.self_attn.{part}_proj.weight" for part in "oq")
    with pytest.raises(DivergedError) as error:
        observe(model, targets, inputs_of(model, ["input_ids"]), owners={**wrong, o: q})
    assert error.value.weight == o


def test_inputs_that_are_not_finite_are_refused(tiny_model):
    model, targets = opened(tiny_model, "vit")
    inputs = inputs_of(model, ["pixel_values"])
    inputs["pixel_values"][0, 0, 0, 0] = torch.nan
    with pytest.raises(ModelError, match="not finite"):
        observe(model, targets, inputs)


class Odd(nn.Module):
    """Products that are no module's own: a batch, a matrix on the left, packed attention."""

    def __init__(self):
        super().__init__()
        self.batch = nn.Parameter(torch.randn(3, 5, 4))
        self.left = nn.Parameter(torch.randn(6, 4))
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.lstm = nn.LSTM(4, 3, bidirectional=True)

    def forward(self, x):
        torch.bmm(x.expand(3, *x.shape), self.batch.transpose(1, 2))
        _ = self.left @ x.T
        batch = x[None]
        self.attention(batch, batch, batch)
        return self.lstm(x[:, None])[0]


def target(model, name, matrices=1):
    shape = tuple(model.get_parameter(name).shape)
    return Target(
        name=name,
        shape=shape,
        matrices=matrices,
        columns=shape[-1],
        transposed=False,
        table=False,
    )


def test_products_outside_modules_are_seen():
    model = Odd().eval()
    names = ["left", "attention.in_proj_weight", "lstm.weight_ih_l0", "lstm.weight_ih_l0_reverse"]
    states = ["lstm.weight_hh_l0", "lstm.weight_hh_l0_reverse"]
    targets = {name: target(model, name) for name in [*names, *states]}
    targets["batch"] = target(model, "batch", 3)
    x = torch.randn(7, 4)
    sums = observe(model, targets, {"x": x})
    for name in names:
        torch.testing.assert_close(sums[f"{name}.{MOMENT}"][0], x.T @ x)
    torch.testing.assert_close(sums[f"batch.{MOMENT}"], (x.T @ x).expand(3, 4, 4))
    with torch.no_grad():
        out = model(x)[:, 0]
    none = torch.zeros(1, 3)
    for name, before in zip(
        states,
        [torch.cat([none, out[:-1, :3]]), torch.cat([out[1:, 3:], none])],
        strict=True,
    ):
        torch.testing.assert_close(sums[f"{name}.{MOMENT}"][0], before.T @ before)


def test_a_square_weight_on_the_wrong_side_is_left_alone():
    model = nn.Linear(4, 4, bias=False)
    targets = {"weight": target(model, "weight")}
    sums = Sums(all_of(targets), {"weight": "weight"}, [])
    x = torch.randn(3, 4)
    with Observer(model, Weights(model, targets), sums):
        x @ model.weight  # the rows of the weight are added up: x are no inputs of its rows
        assert int(sums.tensors()[f"weight.{ROWS}"]) == 0
        model(x)
    assert int(sums.tensors()[f"weight.{ROWS}"]) == 3


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("space", [(9,), (7, 8), (5, 6, 4)])
def test_a_convolution_is_a_product_with_its_windows(space, groups, monkeypatch):
    monkeypatch.setattr("quantcli.calibrating.windows.BATCH_BYTES", 1000)
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(space)]
    module = kind(6, 12, 3, stride=2, padding=1, dilation=1, groups=groups, bias=False)
    inputs = torch.randn(2, 6, *space)
    parts = [[] for _ in range(groups)]
    sizes = (module.kernel_size, module.stride, module.padding, module.dilation)
    for group, rows in windows(inputs, *sizes, groups):
        parts[group].append(rows)
    weights = module.weight.flatten(1).chunk(groups)
    products = [torch.cat(rows) @ w.T for rows, w in zip(parts, weights, strict=True)]
    outputs = module(inputs).movedim(1, -1).flatten(0, -2)
    torch.testing.assert_close(torch.cat(products, dim=1), outputs, rtol=1e-4, atol=1e-5)


def test_a_pass_takes_no_more_memory_than_it_may():
    def made(name, matrices, columns):
        return Target(
            name=name,
            shape=(1, columns),
            matrices=matrices,
            columns=columns,
            transposed=False,
            table=False,
        )

    targets = [made("a", 1, 10), made("b", 1, 10), made("c", 5, 10), made("d", 1, 30)]
    passes = plan_passes(targets, 800)
    placed = [(item.target.name, *item.matrices) for items in passes for item in items]
    assert placed == [("a", 0), ("b", 0), ("c", 0, 1), ("c", 2, 3), ("c", 4), ("d", 0)]
    sizes = [sum(item.nbytes for item in items) for items in passes]
    assert sizes == [800, 800, 800, 400, 3600]  # "d" alone is larger
    assert len(plan_passes(targets, 10**9)) == 1


def test_tiny_models_are_all_covered():
    assert set(INPUTS) < set(tiny.KINDS)


def test_sums_are_freed_as_soon_as_their_pass_is_over(tiny_model):
    model, targets = opened(tiny_model, "llama-tied")
    sums = Sums(all_of(targets), {name: name for name in targets}, [])
    gc.disable()  # the sums of the next pass are made right away
    try:
        with Observer(model, Weights(model, targets), sums):
            model(**inputs_of(model, INPUTS["llama-tied"]))
        gone = weakref.ref(sums)
        del sums
        assert gone() is None
    finally:
        gc.enable()
