"""transformers knows quantcli, whichever is imported first; importing quantcli costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOAD = "transformers.AutoModel.from_pretrained({directory!r}).eval()"

ORDERS = {
    "quantcli-first": "import quantcli, transformers",
    "transformers-first": "import transformers, quantcli",
    "modeling-first": "import transformers; transformers.AutoModel, transformers.BertModel; "
    "import transformers.modeling_utils, quantcli",
    "auto-first": "import transformers.quantizers.auto, quantcli, transformers",
    "auto-last": "import quantcli, transformers.quantizers.auto, transformers",
    "found-but-not-imported": "import quantcli, importlib.util, transformers; "
    "importlib.util.find_spec('transformers.quantizers.auto')",
    "installed-twice": "import quantcli, transformers; "
    "from quantcli.loading.registration import install, register; install(); register(); install()",
}


@pytest.fixture
def output(python):
    """Run code in a process of its own, where a warning is an error; return what it prints."""

    def run(code):
        done = python.run(f"import warnings; warnings.simplefilter('error'); {code}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_import_order(frozen, output, order):
    check = (
        "from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING as known; import sys; "
        f"model = {LOAD.format(directory=str(frozen('bert', 'int8')))}; "
        "print(type(model.pooler.dense).__name__, 'quantcli' in known, "
        "[f for f in sys.meta_path if 'quantcli' in type(f).__module__])"
    )
    assert output(f"{order}; {check}") == "FrozenLinear True []\n"


def test_import_of_quantcli_is_light():
    heavy = ["numpy", "optimum", "pydantic", "safetensors", "torch", "transformers"]
    code = f"import sys, quantcli.loading; print([name for name in {heavy} if name in sys.modules])"
    command = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_transformers_is_imported_without_our_quantizer(output):
    code = (
        "import quantcli, sys, transformers.modeling_utils; "
        "print([name for name in ('pydantic', 'quantcli.loading.quantizer', 'optimum.quanto') "
        "if name in sys.modules])"
    )
    assert output(code) == "[]\n"


def test_source_of_the_awaited_module_stays_known(output):
    code = (
        "import quantcli, inspect, transformers.quantizers.auto as auto; "
        "print('class AutoHfQuantizer' in inspect.getsource(auto))"
    )
    assert output(code) == "True\n"


def test_what_is_wrapped_in_transformers_is_there():
    """Canary: without these names a frozen directory is refused, or loaded by `quantcli.load` only.

    Both must be called with the section as their first argument.
    """
    import inspect

    from transformers.quantizers import auto

    from quantcli.upstream.transformers import section_functions

    found = section_functions(auto)
    assert len(found) == 2
    for owner, name in found:
        function = getattr(owner, name)
        assert function.knows_quantcli
        section = next(iter(inspect.signature(inspect.unwrap(function)).parameters))
        assert section == "quantization_config_dict"


def test_other_methods_are_left_alone():
    from transformers.quantizers.auto import AutoHfQuantizer, AutoQuantizationConfig

    section = {"quant_method": "quanto", "weights": "int8"}
    assert AutoHfQuantizer.supports_quant_method(section)
    assert type(AutoQuantizationConfig.from_dict(section)).__name__ == "QuantoConfig"
    for ask in (AutoHfQuantizer.supports_quant_method, AutoQuantizationConfig.from_dict):
        with pytest.raises(ValueError, match="no `quant_method` attribute"):
            ask({"quant_method": None})


def test_the_awaited_module_is_the_one_that_upstream_names():
    from quantcli.loading import registration
    from quantcli.upstream import transformers

    assert registration.QUANTIZERS == transformers.QUANTIZERS
