from __future__ import annotations

import json
import os

import pytest
from checkpoints import weights, write
from messages import refuses

from quantcli.checkpoint import open_checkpoint
from quantcli.errors import MachineError, ModelError, UsageError

CONFIG = {"config.json": {"model_type": "bert"}}
INDEX = "model.safetensors.index.json"


def index(weight_map, metadata=None):
    return {"metadata": metadata or {}, "weight_map": weight_map}


def test_single_file(model):
    checkpoint = open_checkpoint(str(model))
    assert checkpoint.model == str(model)
    assert checkpoint.revision is None
    assert checkpoint.config == {"model_type": "bert"}
    assert checkpoint.weights_format == "safetensors"
    assert checkpoint.weight_files == ("model.safetensors",)
    assert checkpoint.index_metadata is None
    assert not checkpoint.has_code
    assert checkpoint.folder() == model
    assert list(checkpoint.tensors) == ["a", "b"]
    checkpoint.fetch()
    record = checkpoint.tensors["a"]
    content = checkpoint.path(record.file).read_bytes()
    assert checkpoint.sample("a", 4, 8) == content[record.offset + 4 : record.offset + 12]
    assert checkpoint.read("a").numpy().tobytes() == checkpoint.sample("a", 0, 16)


@pytest.mark.parametrize(("start", "nbytes"), [(-1, 2), (0, 17), (16, 1), (4, -1)])
def test_a_sample_stays_inside_the_tensor(model, start, nbytes):
    with pytest.raises(ValueError, match="no bytes"):
        open_checkpoint(str(model)).sample("a", start, nbytes)


def test_shards_in_the_order_of_transformers(tmp_path):
    write(
        tmp_path,
        {
            **CONFIG,
            "b.safetensors": weights(z=(2,), a=(3,)),
            "a.safetensors": weights(y=(4,), extra=(1,), a=(9,)),
            INDEX: index(
                {"z": "b.safetensors", "a": "b.safetensors", "y": "a.safetensors"},
                {"total_size": 36, "dtype": "float32"},
            ),
        },
    )
    checkpoint = open_checkpoint(str(tmp_path))
    assert checkpoint.weight_files == ("a.safetensors", "b.safetensors")
    assert checkpoint.index_metadata == {"total_size": 36, "dtype": "float32"}
    # What the index does not name is read too; what it places elsewhere is not.
    assert [(r.name, r.file, r.shape) for r in checkpoint.tensors.values()] == [
        ("extra", "a.safetensors", (1,)),
        ("y", "a.safetensors", (4,)),
        ("a", "b.safetensors", (3,)),
        ("z", "b.safetensors", (2,)),
    ]


@pytest.mark.parametrize(
    ("files", "entry"),
    [
        pytest.param(
            {INDEX: index({"x": "gone"}), "pytorch_model.bin": b""},
            "model.safetensors",
            id="single",
        ),
        pytest.param({"pytorch_model.bin": b"", "tf_model.h5": b""}, "model.safetensors", id="bin"),
        pytest.param(
            {
                "other.safetensors": weights(c=(1,)),
                "config.json": {"transformers_weights": "other.safetensors"},
            },
            "other.safetensors",
            id="named-by-the-config",
        ),
    ],
)
def test_which_weights_come_first(model, files, entry):
    assert open_checkpoint(str(write(model, files))).weight_files == (entry,)


def test_code_is_seen(model):
    write(model, {"config.json": {"auto_map": {"AutoModel": "modeling_x.X"}}, "modeling_x.py": ""})
    assert open_checkpoint(str(model)).has_code


def test_links_are_followed_and_circles_are_not(model, tmp_path):
    blob = tmp_path / "blob"
    (model / "model.safetensors").rename(blob)
    (model / "model.safetensors").symlink_to(blob)
    (model / "circle").symlink_to(model)
    assert list(open_checkpoint(str(model)).tensors) == ["a", "b"]


SHARD = {"s.safetensors": weights(a=(2,))}


@pytest.mark.parametrize("target", ["itself.json", "nowhere"])
def test_links_that_lead_nowhere_are_no_files(model, target):
    (model / "itself.json").symlink_to(target)
    checkpoint = open_checkpoint(str(model))
    assert "itself.json" not in dict(checkpoint.side_files())
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("config.json")
    with refuses(ModelError, "config.json", str(model)):
        open_checkpoint(str(model))


@pytest.mark.parametrize(
    ("files", "facts", "hint"),
    [
        pytest.param({}, "empty", "Hub id", id="empty"),
        pytest.param(
            {"model.safetensors": weights(a=(2,))}, "config.json", "transformers", id="no-config"
        ),
        pytest.param({"config.json": "{"}, ("config.json", "JSON"), (), id="config-not-json"),
        pytest.param({"config.json": "[]"}, ("config.json", "JSON object"), (), id="config-a-list"),
        pytest.param(CONFIG, "weights", "model.safetensors", id="no-weights"),
        pytest.param(
            {"config.json": '{"a": [{"b": "\\ud800"}]}'},
            ("config.json", "Unicode"),
            (),
            id="config-with-half-a-character",
        ),
        pytest.param(
            {"config.json": '{"\\udfff": 1}'},
            ("config.json", "Unicode"),
            (),
            id="config-with-half-a-character-as-key",
        ),
        pytest.param(
            {"config.json": '{"a": ' * 300 + "1" + "}" * 300},
            ("config.json", "nested"),
            (),
            id="config-nested-deeply",
        ),
        pytest.param(
            {**CONFIG, **{f"m-{i}.ckpt": b"" for i in range(5)}},
            "weights",
            ("m-0.ckpt", "m-1.ckpt", "m-2.ckpt", "2 more"),
            id="only-others",
        ),
        pytest.param(
            {**CONFIG, "model.fp16.safetensors": b""},
            "weights",
            "model.fp16.safetensors",
            id="only-a-variant",
        ),
        pytest.param(
            {"config.json": {"transformers_weights": "x.safetensors"}},
            "x.safetensors",
            (),
            id="named",
        ),
        pytest.param(
            {"config.json": {"transformers_weights": "../x.safetensors"}},
            ("unsafe", "../x.safetensors"),
            (),
            id="named-outside",
        ),
        pytest.param({**CONFIG, INDEX: "{"}, (INDEX, "JSON"), (), id="index-not-json"),
        pytest.param({**CONFIG, INDEX: {}}, (INDEX, "weight_map"), (), id="index-empty"),
        pytest.param(
            {**CONFIG, INDEX: '{"weight_map": {"a": "x", "a": "y"}}'},
            (INDEX, "'a'", "twice"),
            (),
            id="index-twice",
        ),
        pytest.param(
            {**CONFIG, INDEX: index({"a": 1})}, (INDEX, "file", "'a'"), (), id="index-number"
        ),
        pytest.param(
            {**CONFIG, INDEX: index({"a": "s.safetensors"})},
            ("missing", "s.safetensors"),
            "download",
            id="no-shard",
        ),
        pytest.param(
            {**CONFIG, **SHARD, INDEX: index({"a": "s.safetensors", "b": "s.safetensors"})},
            ("s.safetensors", "'b'"),
            (),
            id="shard-without-the-tensor",
        ),
        pytest.param(
            {**CONFIG, "model.safetensors": weights(a=(9,))[:-3]},
            ("model.safetensors", "truncated", "3 bytes"),
            "download",
            id="truncated",
        ),
        *(
            pytest.param(
                {**CONFIG, **SHARD, INDEX: index({"a": name})}, "unsafe", (), id=f"shard-{name!r}"
            )
            for name in (
                "../s.safetensors",
                "/etc/passwd",
                "x/../../s",
                "",
                ".",
                "C:\\s",
                "..\\s",
                "s\0",
            )
        ),
    ],
)
def test_a_folder_that_is_not_sound(tmp_path, files, facts, hint):
    with refuses(ModelError, facts, hint=hint):
        open_checkpoint(str(write(tmp_path, files)))


@pytest.mark.parametrize("name", ["./none", "/none/at/all", "~/none-at-all", "a/b/c", "none/"])
def test_no_such_folder(name):
    with refuses(ModelError, "folder", os.path.expanduser(name)):  # noqa: PTH111 - of a text
        open_checkpoint(name)


def test_a_file_is_no_folder(model):
    path = str(model / "model.safetensors")
    with refuses(ModelError, path, "file", hint=str(model)):
        open_checkpoint(path)


def test_a_folder_has_no_revision(model):
    with refuses(UsageError, str(model), "revision v1"):
        open_checkpoint(str(model), revision="v1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("what", ["", "model.safetensors", "config.json"])
def test_no_permission(model, what):
    path = model / what
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with refuses(MachineError, "permission", str(model)):
            open_checkpoint(str(model))
    finally:
        path.chmod(mode)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_no_permission_from_the_system(model, file, monkeypatch):
    from pathlib import Path

    real = Path.open

    def refuse(path, *args, **options):
        if path.name == file:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with refuses(MachineError, "permission", str(model / file)):
        open_checkpoint(str(model))


def side_names(folder):
    return [name for name, _ in open_checkpoint(str(folder)).side_files()]


def test_side_files(model):
    along = [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "LICENSE",
        "chat_template.jinja",
        "config_sentence_transformers.json",
        "configuration_x.py",
        "generation_config.json",
        "merges.txt",
        "modules.json",
        "preprocessor_config.json",
        "speaker_embeddings/en.npy",
        "spiece.model",
        "tokenizer.json",
        "vocab/words.txt",
    ]
    left = [
        ".gitattributes",
        ".git/HEAD",
        ".cache/huggingface/x",
        "3_Other/model.safetensors",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoint-500/trainer_state.json",
        "checkpoint-500/tokenizer.json",
        "coreml/model.mlpackage/Data/x.bin",
        "flax_model.msgpack",
        "model-00001-of-00002.safetensors",
        "model.ckpt.index",
        "model.fp16.safetensors",
        "model.onnx",
        "model.safetensors.index.fp16.json",
        "onnx/config.json",
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "openvino/openvino_model.xml",
        "optimizer.pt",
        "original/consolidated.00.pth",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "q4.gguf",
        "quantcli.json",
        "quanto_qmap.json",
        "rng_state_0.pth",
        "rust_model.ot",
        "scheduler.pt",
        "tf_model.h5",
        "trainer_state.json",
        "training_args.bin",
    ]
    modules = [{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}, {"path": "../up"}, {}, 3]
    write(model, dict.fromkeys([*along, *left], "{}"))
    write(model, {"modules.json": json.dumps(modules)})
    assert side_names(model) == along
    assert all(path == model / name for name, path in open_checkpoint(str(model)).side_files())


def test_shards_and_their_index_are_not_side_files(tmp_path):
    write(
        tmp_path,
        {**CONFIG, **SHARD, INDEX: index({"a": "s.safetensors"}), "tokenizer.json": "{}"},
    )
    assert side_names(tmp_path) == ["tokenizer.json"]


@pytest.mark.parametrize(
    ("modules", "fact"), [("{", "line 1"), ("[" * 100_000, "nested")], ids=["cut", "nested"]
)
def test_modules_that_are_not_json(model, modules, fact):
    write(model, {"modules.json": modules})
    with refuses(ModelError, "modules.json", fact):
        open_checkpoint(str(model)).side_files()
