"""Which class a name stands for."""

from __future__ import annotations

import pytest
import transformers

from quantcli.skeleton import Code, find_class


@pytest.mark.parametrize(
    ("names", "found"),
    [
        pytest.param(["BertModel"], "BertModel", id="model"),
        pytest.param(["NoSuchModel", "BertModel", "GPT2Model"], "BertModel", id="first-known"),
        pytest.param(["BertConfig", "models", "__name__"], None, id="no-model"),
        pytest.param(["PreTrainedModel"], None, id="base-of-all-models"),
        pytest.param([], None, id="no-name"),
    ],
)
def test_classes_of_transformers(names, found):
    assert find_class(names) is (found and getattr(transformers, found))


@pytest.mark.parametrize(
    "references",
    [
        None,
        [],
        "modeling.BertModel",
        {"AutoTokenizer": ["tokenization.BertModel", None]},
        {"AutoModel": "modeling.OtherModel"},
    ],
)
def test_code_without_the_class(references, tmp_path):
    code = Code(references, tmp_path)
    assert code.find("BertModel") is None
    assert find_class(["BertModel"], code) is transformers.BertModel


def test_code_comes_first(tmp_path):
    (tmp_path / "modeling.py").write_text(
        "from transformers import BertModel as Base\nclass BertModel(Base): pass\n"
    )
    code = Code({"AutoModel": "modeling.BertModel"}, tmp_path)
    found = find_class(["BertModel"], code)
    assert found is not transformers.BertModel
    assert issubclass(found, transformers.BertModel)


def test_errors_of_the_code_pass(tmp_path):
    (tmp_path / "modeling.py").write_text("raise LookupError('its own')\n")
    with pytest.raises(LookupError, match="its own"):
        find_class(["BertModel"], Code({"AutoModel": "modeling.BertModel"}, tmp_path))
