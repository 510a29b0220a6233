"""Ways to damage a JSON file: its values, its keys, and its text."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

Change = Callable[[Random, Any], Any]
"""Takes a parsed document, which it may change in place, and returns it damaged."""


class NoPlaceError(Exception):
    """The file has nothing that a mutator could change."""


class Raw:
    """A value that json cannot write: its text, as it is to stand in the file."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Twin(str):
    """A key that differs from every other, however it is spelled."""

    __slots__ = ()

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


EXTREMES = (
    *(2**31, 2**31 - 1, 2**63, 2**64, 10**12, -1, -(2**31), 0, 1, 3, 1.5, -0.0, 1e308, 1e-320),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        " ",
        None,
        True,
        False,
        [],
        {},
        [None],
        {"": 0},
    ),
    *(Raw("1" + "0" * 5000), Raw("1e999"), Raw("-")),
)

NAMES = (
    # of torch: dtypes, and what is none
    *("float16", "bfloat16", "float64", "int8", "bool", "complex64", "float8_e4m3fn", "bits8"),
    *("Tensor", "nn", "save", "dtype", "__name__", "torch.float16", "torch.nn", "float", "quint8"),
    # of transformers and Quanto
    *("bert", "gpt2", "t5", "clip", "clip_text_model", "vit", "llama", "auto", "timm_wrapper"),
    *(
        "BertModel",
        "BertForMaskedLM",
        "GPT2Model",
        "LlamaForCausalLM",
        "CLIPTextModel",
        "AutoModel",
    ),
    *("PreTrainedModel", "BertConfig", "logging", "utils", "__version__", "BertTokenizer"),
    *("qint8", "qint4", "qint2", "qfloat8", "qfloat8_e5m2", "int4", "quanto", "quantcli", "gptq"),
    *("gelu", "silu", "swiglu", "default", "linear", "dynamic", "yarn", "flash_attention_2"),
)

PATHS = (
    *("../model.safetensors", "/etc/passwd", "..", ".", "/", "config.json", "model.safetensors"),
    *("C:\\windows", "a\0b", "nonexistent.safetensors", "model.safetensors.index.json", "~"),
)

KEYS: tuple[tuple[str, Any], ...] = (
    ("quantization_config", {"quant_method": "quantcli", "version": 1}),
    ("quantization_config", {"quant_method": "gptq", "bits": 4}),
    ("quantization_config", {"version": "1", "modules": []}),
    ("auto_map", {"AutoModel": "modeling.Model", "AutoConfig": "modeling.Config"}),
    ("auto_map", {"AutoModel": 3}),
    ("transformers_weights", "other.safetensors"),
    ("torch_dtype", "float16"),
    ("dtype", {"": "float32", "encoder": "nope"}),
    ("tie_word_embeddings", True),
    ("is_encoder_decoder", True),
    ("text_config", {}),
    ("vision_config", 3),
    ("architectures", []),
    ("num_labels", 7),
    ("id2label", {"0": "a", "x": "b"}),
    ("pruned_heads", {"0": [0, 1]}),
    ("rope_parameters", {"rope_type": "yarn", "factor": "x"}),
    ("rope_scaling", {"type": "dynamic", "factor": 0}),
    ("layer_types", ["full_attention"]),
    ("_attn_implementation", "flash_attention_2"),
    ("attn_implementation", {"": "nope"}),
    ("use_bfloat16", True),
    ("base_model_tp_plan", {"*": 1}),
    ("transformers_version", 4),
    ("model_type", None),
    ("__class__", "x"),
    ("to_dict", None),
    ("dtype", "bfloat16"),
)
"""Keys that a config may have, and that decide how it is read."""


def delete(rng: Random, document: Any) -> Any:
    parent, key = _place(rng, document)
    del parent[key]
    return document


def duplicate(rng: Random, document: Any) -> Any:
    """Give an object a key twice, or a list an item twice."""
    parent, key = _place(rng, document)
    if isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), parent[key])
    else:
        parent[_Twin(key)] = rng.choice([parent[key], *EXTREMES])
    return document


def retype(rng: Random, document: Any) -> Any:
    """Make a value one of another type that looks like it."""
    parent, key = _place(rng, document)
    value = parent[key]
    text = value if isinstance(value, str) else json.dumps(value)
    others = [text, [value], {"value": value}, bool(value), len(text), float(len(text)), None]
    parent[key] = rng.choice(others)
    return document


def extreme(rng: Random, document: Any) -> Any:
    parent, key = _place(rng, document)
    parent[key] = rng.choice(EXTREMES)
    return document


def inflate(rng: Random, document: Any) -> Any:
    """Make a number one that no machine has room for, or one that means nothing."""
    parent, key = _place(rng, document, int | float)
    parent[key] = rng.choice([2**31, 2**31 - 1, 2**40, 10**6, 2**63, 1e308, -1, 0])
    return document


def nudge(rng: Random, document: Any) -> Any:
    """Change a number a little, so that it still makes sense."""
    parent, key = _place(rng, document, int | float)
    value = parent[key]
    parent[key] = rng.choice([value + 1, value - 1, value * 2, value // 2, -value, value + 0.5])
    return document


def misname(rng: Random, document: Any) -> Any:
    """Put a name where it does not belong."""
    parent, key = _place(rng, document, str)
    parent[key] = rng.choice(rng.choice([NAMES, PATHS]))
    return document


def lengthen(rng: Random, document: Any) -> Any:
    """Put a text of a length or of characters that nobody expects."""
    parent, key = _place(rng, document)
    texts = ["x" * 1_000_000, "\0", "\ud800", "a\nb\r\n", "\u202ename", "é" * 300, "%s{}$HOME"]
    parent[key] = rng.choice(texts)
    return document


def nest(rng: Random, document: Any) -> Any:
    """Wrap a value in lists or objects, more deeply than a parser may recurse."""
    parent, key = _place(rng, document)
    depth = rng.choice([2, 50, 300, 950, 5_000, 100_000])
    start, end = rng.choice([("[", "]"), ('{"a": ', "}")])
    parent[key] = Raw(start * depth + json.dumps(parent[key], default=_text_of) + end * depth)
    return document


def rename(rng: Random, document: Any) -> Any:
    """Give a key another name, and its place to nobody."""
    parent, key = _place(rng, document, keyed=True)
    made = (key + "_", key[1:], key.upper(), f" {key}", "", key.replace(".", "/"), f"{key}.0")
    name = rng.choice([*made, rng.choice(NAMES), "\ud800"])
    items = [(name if old == key else old, value) for old, value in parent.items()]
    parent.clear()
    parent.update(items)
    return document


def swap(rng: Random, document: Any) -> Any:
    """Exchange two values."""
    first, one = _place(rng, document)
    value = first[one]
    second, other = rng.choice([_place(rng, document), (first, rng.choice(_keys(first)))])
    if _holds(value, second) or _holds(second[other], first):
        raise NoPlaceError
    first[one], second[other] = second[other], value
    return document


def add(rng: Random, document: Any) -> Any:
    """Add a key that decides how a config is read."""
    if not isinstance(document, dict):
        raise NoPlaceError
    key, value = rng.choice(KEYS)
    objects = [document, *(part for part in document.values() if isinstance(part, dict))]
    rng.choice(objects)[key] = value
    return document


def replace(rng: Random, document: Any) -> Any:
    """Put another document in its place."""
    return rng.choice([{}, [], None, 3, "text", [document], {"config": document}])


CHANGES: dict[str, Change] = {
    change.__name__: change
    for change in (
        *(delete, duplicate, retype, extreme, inflate, nudge, misname),
        *(lengthen, nest, rename, swap, add, replace),
    )
}


def spoil_text(rng: Random, content: bytes) -> bytes:
    """Damage the text itself: its encoding, its end, its punctuation."""
    at = rng.randrange(len(content) + 1)
    return rng.choice(
        [
            content[:at],
            content[:at] + b"\xff\xfe" + content[at:],
            content[:at] + rng.choice([b",", b"}", b'"', b"\\", b"//", b"\0"]) + content[at:],
            b"\xef\xbb\xbf" + content,
            content.decode("utf-8", "replace").encode("utf-16"),
            content + content,
            b"",
        ]
    )


def damage(change: Change, rng: Random, content: bytes) -> bytes:
    """Return the text of a JSON file after a change of what it says."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # damaged already
        raise NoPlaceError from error
    return write(change(rng, document))


def write(document: Any) -> bytes:
    """Return the text of a document that may hold `Raw` values and equal keys."""
    raw: list[str] = []

    def note(value: Any) -> str:
        raw.append(_text_of(value))
        return f"@raw {len(raw) - 1}@"

    text = json.dumps(document, indent=2, default=note)
    for number, value in enumerate(raw):
        text = text.replace(f'"@raw {number}@"', value)
    return text.encode("utf-8")


def _text_of(value: Any) -> str:
    if not isinstance(value, Raw):
        raise TypeError(f"no JSON: {value!r}")
    return value.text


def _place(
    rng: Random, document: Any, kind: Any = object, *, keyed: bool = False
) -> tuple[Any, Any]:
    """Choose a value: the container it is in, and its key there. Outer ones are likelier."""
    found = [
        (depth, parent, key)
        for depth, parent, key in _places(document)
        if isinstance(parent[key], kind) and not (keyed and isinstance(parent, list))
    ]
    if not found:
        raise NoPlaceError
    depth = rng.choice(sorted({depth for depth, _, _ in found}))
    return rng.choice([(parent, key) for at, parent, key in found if at == depth])


def _places(document: Any, depth: int = 0) -> list[tuple[int, Any, Any]]:
    found: list[tuple[int, Any, Any]] = []
    for key in _keys(document):
        found.append((depth, document, key))
        found += _places(document[key], depth + 1)
    return found


def _keys(document: Any) -> list[Any]:
    if isinstance(document, list):
        return list(range(len(document)))
    return list(document) if isinstance(document, dict) else []


def _holds(value: Any, part: Any) -> bool:
    waiting = [value]  # a document may be nested deeper than Python recurses
    while waiting:
        value = waiting.pop()
        if value is part:
            return True
        waiting += [value[key] for key in _keys(value)]
    return False
