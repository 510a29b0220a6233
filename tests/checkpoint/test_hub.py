from __future__ import annotations

import errno
import io
import json
import subprocess
import sys

import pytest
from checkpoints import weights, write
from hub import TOKEN
from messages import refuses

from quantcli.checkpoint import open_checkpoint
from quantcli.errors import MachineError, ModelError, UsageError

INDEX = "model.safetensors.index.json"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Stand in a folder that holds nothing of the name of a repo."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture
def online(hub):
    with hub.in_process():
        yield hub


def paths(hub):
    return [(request.method, request.path.rpartition("/")[2]) for request in hub.requests]


def test_by_name(online, model):
    sha = online.add_repo("org/name", model)
    checkpoint = open_checkpoint("org/name")
    assert (checkpoint.model, checkpoint.revision) == ("org/name", sha)
    assert checkpoint.config == {"model_type": "bert"}
    assert list(checkpoint.tensors) == ["a", "b"]
    assert checkpoint.tensors == open_checkpoint(str(model)).tensors
    assert paths(online) == [
        ("GET", "name?blobs=true"),
        ("HEAD", "config.json"),
        ("GET", "config.json"),
        ("GET", "model.safetensors"),
    ]


def test_bytes_before_and_after_fetching(online, model):
    write(
        model, {"tokenizer.json": "{}", "onnx/model.onnx": b"1", "README.md": "#", "LICENSE": "L"}
    )
    online.add_repo("org/name", model)
    local, checkpoint = open_checkpoint(str(model)), open_checkpoint("org/name")
    assert checkpoint.sample("a", 4, 8) == local.sample("a", 4, 8)
    assert sorted(path.name for path in checkpoint.folder().iterdir()) == ["config.json"]
    with refuses(ModelError, "model.safetensors", "org/name", "cache"):
        checkpoint.path("model.safetensors")
    checkpoint.fetch()
    snapshot = checkpoint.folder()
    files = {path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*")}
    assert files == {"LICENSE", "config.json", "model.safetensors", "tokenizer.json"}
    assert checkpoint.side_files() == [
        ("LICENSE", snapshot / "LICENSE"),
        ("tokenizer.json", snapshot / "tokenizer.json"),
    ]
    online.forget()
    assert checkpoint.sample("a", 4, 8) == local.sample("a", 4, 8)
    assert checkpoint.read("b").numpy().tobytes() == local.sample("b", 0, 24)
    checkpoint.fetch()
    assert online.requests == []


def test_what_is_cached_is_not_asked_for_again(online, model):
    online.add_repo("org/name", model)
    open_checkpoint("org/name").fetch()
    online.forget()
    open_checkpoint("org/name")
    assert paths(online) == [("GET", "name?blobs=true")]


def test_files_with_brackets_and_folders(online, model):
    write(model, {"a[1].txt": "x", "a1.txt": "y", "vocab/deep/w.txt": "z", "b*.txt": "s"})
    online.add_repo("org/name", model)
    checkpoint = open_checkpoint("org/name")
    checkpoint.fetch()
    assert [(name, path.read_text()) for name, path in checkpoint.side_files()] == [
        ("a1.txt", "y"),
        ("a[1].txt", "x"),
        ("b*.txt", "s"),
        ("vocab/deep/w.txt", "z"),
    ]


def test_code_comes_with_the_config(online, model):
    write(
        model,
        {"config.json": {"auto_map": {"AutoModel": "x.X"}}, "x.py": "1", "y.py": "2", "z.txt": "3"},
    )
    online.add_repo("org/name", model)
    checkpoint = open_checkpoint("org/name")
    assert checkpoint.has_code
    names = sorted(path.name for path in checkpoint.folder().iterdir())
    assert names == ["config.json", "x.py", "y.py"]


def test_side_files_of_modules(online, model):
    modules = json.dumps([{"path": ""}, {"path": "2_Dense"}])
    write(model, {"modules.json": modules, "2_Dense/model.safetensors": weights(d=(1,))})
    online.add_repo("org/name", model)
    checkpoint = open_checkpoint("org/name")
    checkpoint.fetch()
    names = [name for name, path in checkpoint.side_files() if path.is_file()]
    assert names == ["2_Dense/model.safetensors", "modules.json"]


@pytest.mark.parametrize("how", ["at", "option", "both", "commit"])
def test_by_revision(online, model, tmp_path, how):
    online.add_repo("org/name", model)
    other = write(tmp_path / "v2", {"config.json": {}, "model.safetensors": weights(new=(1,))})
    sha = online.add_repo("org/name", other, revision="refs/pr/2")
    name, revision = {
        "at": ("org/name@refs/pr/2", None),
        "option": ("org/name", "refs/pr/2"),
        "both": ("org/name@refs/pr/2", "refs/pr/2"),
        "commit": (f"org/name@{sha}", None),
    }[how]
    checkpoint = open_checkpoint(name, revision=revision)
    assert (checkpoint.model, checkpoint.revision) == ("org/name", sha)
    assert list(checkpoint.tensors) == ["new"]
    checkpoint.fetch()
    assert checkpoint.path("model.safetensors").parent.name == sha


def test_a_branch_that_moves_while_it_is_read(online, model, tmp_path):
    sha = online.add_repo("org/name", model)
    checkpoint = open_checkpoint("org/name")
    moved = write(tmp_path / "v2", {"config.json": {}, "model.safetensors": weights(new=(1,))})
    assert online.add_repo("org/name", moved) != sha
    checkpoint.fetch()
    assert checkpoint.folder().name == sha
    assert checkpoint.read("a").shape == (4,)


def test_two_revisions():
    with refuses(UsageError, "org/name@a", "--revision b"):
        open_checkpoint("org/name@a", revision="b")


def test_no_revision_after_the_at():
    with refuses(UsageError, "org/name@", "revision"):
        open_checkpoint("org/name@")


def test_a_folder_of_that_name_wins(online, model, tmp_path):
    online.add_repo("org/name", model)
    write(tmp_path / "work/org/name", {"config.json": {}, "model.safetensors": weights(here=(1,))})
    assert list(open_checkpoint("org/name").tensors) == ["here"]
    assert list(open_checkpoint("org/name@main").tensors) == ["a", "b"]


def test_with_a_token(hub, model):
    hub.add_repo("org/private", model, private=True)
    hub.add_repo("org/gated", model, gated=True)
    with hub.in_process(token=TOKEN):
        for name in ("org/private", "org/gated"):
            checkpoint = open_checkpoint(name)
            checkpoint.fetch()
            assert checkpoint.read("a").shape == (4,)


LOGIN = ("hf auth login", "HF_TOKEN")

REFUSALS = [
    pytest.param("org/none", None, ("org/none", "http:", "folder"), LOGIN, id="none"),
    pytest.param("none", None, ("none", "http:", "folder"), LOGIN, id="none-without-an-org"),
    pytest.param("org/private", None, ("org/private", "http:"), LOGIN, id="private"),
    pytest.param("org/private", "wrong", ("org/private", "HTTP 401"), LOGIN, id="token"),
    pytest.param("org/none", TOKEN, ("org/none", "http:"), LOGIN, id="none-with-a-token"),
    pytest.param("org/gated", None, ("org/gated", "gated"), ("http:", *LOGIN), id="gated"),
    pytest.param("org/name@no", None, ("no", "org/name"), ("branch", "tag"), id="revision"),
    pytest.param("org/na me", None, "'org/na me'", "org/name", id="space"),
    pytest.param("org/na--me", None, "'org/na--me'", "org/name", id="dashes"),
    pytest.param("", None, "''", "org/name", id="empty"),
    pytest.param("@main", None, "''", "org/name", id="only-a-revision"),
    pytest.param("org/bare", None, ("config.json", "org/bare"), "transformers", id="no-config"),
    pytest.param("org/config", None, ("weights", "org/config"), "m.ckpt", id="no-weights"),
    pytest.param(
        "org/cut", None, ("model.safetensors", "truncated", "2 bytes"), "download", id="truncated"
    ),
    pytest.param("org/json", None, ("config.json", "org/json", "JSON"), (), id="config"),
]


@pytest.fixture
def repos(hub, model, tmp_path):
    """Return a Hub with a repo for each way to be refused."""
    hub.add_repo("org/name", model)
    hub.add_repo("org/private", model, private=True)
    hub.add_repo("org/gated", model, gated=True)
    config = {"config.json": {}}
    cut = {**config, "model.safetensors": weights(a=(3,))[:-2]}
    hub.add_repo("org/bare", write(tmp_path / "bare", {"model.safetensors": weights(a=(3,))}))
    hub.add_repo("org/config", write(tmp_path / "config", {**config, "m.ckpt": "1"}))
    hub.add_repo("org/cut", write(tmp_path / "cut", cut))
    hub.add_repo("org/json", write(tmp_path / "json", {**cut, "config.json": "{"}))
    return hub


@pytest.mark.parametrize(("name", "token", "facts", "hint"), REFUSALS)
def test_refusals(repos, name, token, facts, hint):
    with repos.in_process(token=token), refuses(ModelError, facts, hint=hint):
        open_checkpoint(name)


@pytest.mark.parametrize(
    ("status", "facts", "hint"),
    [
        pytest.param(401, "org/name", LOGIN, id="401"),
        pytest.param(403, "org/name", LOGIN, id="403"),
        pytest.param(429, "requests", ("try again", *LOGIN), id="429"),
        pytest.param(500, ("org/name", "cached"), "try again", id="500"),
        pytest.param(503, ("org/name", "cached"), "try again", id="503"),
    ],
)
def test_a_hub_that_fails(online, model, status, facts, hint):
    online.add_repo("org/name", model)
    online.fail_with = status
    with refuses(ModelError, facts, f"HTTP {status}", hint=hint):
        open_checkpoint("org/name")


def test_offline_and_not_cached(hub, model):
    hub.add_repo("org/name", model)
    facts, hint = ("offline", "org/name", "cached"), "HF_HUB_OFFLINE"
    with hub.in_process(offline=True), refuses(ModelError, facts, hint=hint):
        open_checkpoint("org/name")
    assert hub.requests == []


def test_offline_with_the_config_only(hub, model):
    hub.add_repo("org/name", model)
    with hub.in_process():
        open_checkpoint("org/name")
    with hub.in_process(offline=True), refuses(ModelError, "offline", "org/name"):
        open_checkpoint("org/name")


@pytest.mark.parametrize("way", ["offline", "down", "failing"])
@pytest.mark.parametrize("sharded", [False, True], ids=["single", "sharded"])
def test_without_a_hub_but_cached(hub, model, way, sharded):
    write(model, {"tokenizer.json": "{}"})
    if sharded:
        (model / "model.safetensors").rename(model / "s.safetensors")
        write(model, {INDEX: {"metadata": {}, "weight_map": {"a": "s.safetensors"}}})
    sha = hub.add_repo("org/name", model)
    with hub.in_process():
        open_checkpoint("org/name").fetch()
    if way == "down":
        hub.stop()
    hub.fail_with = 503 if way == "failing" else None
    with hub.in_process(offline=way == "offline"):
        checkpoint = open_checkpoint("org/name")
        checkpoint.fetch()
        assert checkpoint.revision == sha
        assert checkpoint.read("a").shape == (4,)
        assert [name for name, _ in checkpoint.side_files()] == ["tokenizer.json"]
        with refuses(ModelError, "org/other"):
            open_checkpoint("org/other")


def test_cached_by_another_tool(hub, model):
    hub.add_repo("org/name", model)
    with hub.in_process():
        from huggingface_hub import hf_hub_download

        for file in ("config.json", "model.safetensors"):
            hf_hub_download("org/name", file)
    with hub.in_process(offline=True):
        checkpoint = open_checkpoint("org/name")
        checkpoint.fetch()
        assert checkpoint.read("a").shape == (4,)


def test_offline_and_a_file_of_the_repo_is_not_cached(hub, model):
    write(model, {"tokenizer.json": "{}"})
    hub.add_repo("org/name", model)
    with hub.in_process():
        checkpoint = open_checkpoint("org/name")
        checkpoint.fetch()
        checkpoint.path("tokenizer.json").unlink()
    with hub.in_process(offline=True), refuses(ModelError, "offline", "org/name"):
        open_checkpoint("org/name").fetch()


def test_a_hub_that_goes_away(hub, model):
    hub.add_repo("org/name", model)
    with hub.in_process():
        checkpoint = open_checkpoint("org/name")
    hub.stop()
    with hub.in_process(offline=True):
        with refuses(ModelError, "offline", "org/name"):
            checkpoint.sample("a", 0, 4)
        with refuses(ModelError, "offline", "org/name"):
            checkpoint.fetch()


@pytest.mark.parametrize(
    ("number", "facts"),
    [
        pytest.param(errno.ENOSPC, ("space", "org/name"), id="no-space"),
        pytest.param(errno.EACCES, "permission", id="no-permission"),
        pytest.param(errno.EROFS, "permission", id="read-only"),
    ],
)
def test_the_machine_refuses(online, model, monkeypatch, number, facts):
    import huggingface_hub

    online.add_repo("org/name", model)

    def refuse(*_, **__):
        raise OSError(number, "refused", str(online.home))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with refuses(MachineError, facts, str(online.home), hint="HF_HOME"):
        open_checkpoint("org/name")


BIG = {f"layer.{i}.attention.output.dense.weight": (64, 512) for i in range(160)}


def test_headers_of_a_large_model_are_a_small_read(online, model):
    write(model, {"model.safetensors": weights(**BIG)})
    online.add_repo("org/name", model)
    assert len(open_checkpoint("org/name").tensors) == 160
    assert online.bytes_sent < 150_000
    assert len(online.requests) == 4
    assert (model / "model.safetensors").stat().st_size > 20_000_000


def test_headers_of_shards_are_a_small_read(online, tmp_path):
    names = list(BIG)
    files = {f"model-{i:05}-of-00020.safetensors": names[i::20] for i in range(20)}
    write(tmp_path / "m", {"config.json": {}})
    for file, shard in files.items():
        write(tmp_path / "m", {file: weights(**dict.fromkeys(shard, (64, 512)))})
    weight_map = {name: file for file, shard in files.items() for name in shard}
    write(tmp_path / "m", {INDEX: {"metadata": {}, "weight_map": weight_map}})
    online.add_repo("org/name", tmp_path / "m")
    assert len(open_checkpoint("org/name").tensors) == 160
    assert online.bytes_sent < 100_000
    # The model, config and index (HEAD and GET), and each shard once.
    assert len(online.requests) == 5 + 20


@pytest.mark.parametrize("shards", [1, 3])
def test_bin_files_are_a_small_read(online, tmp_path, shards):
    import torch

    state = {name: torch.zeros(64, 512) for name in BIG}
    state["tied"] = state[next(iter(BIG))]
    folder = write(tmp_path / "m", {"config.json": {}})
    names = ["pytorch_model.bin"]
    if shards > 1:
        names = [f"pytorch_model-{i}.bin" for i in range(shards)]
        index = {name: names[i % shards] for i, name in enumerate(state)}
        write(folder, {"pytorch_model.bin.index.json": {"metadata": {}, "weight_map": index}})
    for i, name in enumerate(names):
        torch.save(dict(list(state.items())[i::shards]), folder / name)
    online.add_repo("org/name", folder)
    remote = open_checkpoint("org/name")
    assert online.bytes_sent < 125_000 * shards
    assert remote.tensors == open_checkpoint(str(folder)).tensors
    assert remote.weights_format == "pytorch"


def test_a_legacy_bin_file_is_fetched(online, tmp_path):
    import torch

    folder = write(tmp_path / "m", {"config.json": {}})
    torch.save(
        {"a": torch.ones(3)}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False
    )
    online.add_repo("org/name", folder)
    checkpoint = open_checkpoint("org/name")
    assert torch.equal(checkpoint.read("a"), torch.ones(3))


def test_large_files_from_another_host_without_the_token(hub, model):
    hub.add_repo("org/name", model, private=True)
    hub.cdn = True
    with hub.in_process(token=TOKEN):
        checkpoint = open_checkpoint("org/name")
        assert len(checkpoint.sample("a", 0, 16)) == 16
        checkpoint.fetch()
        assert checkpoint.read("a").shape == (4,)
    assert any(request.path.startswith("/cdn/") for request in hub.requests)


def test_a_server_without_ranges(online, model):
    online.ranges = False
    online.add_repo("org/name", model)
    checkpoint = open_checkpoint("org/name")
    assert checkpoint.sample("a", 4, 8) == open_checkpoint(str(model)).sample("a", 4, 8)


@pytest.mark.parametrize("progress", [False, True])
def test_progress_is_shown_only_where_it_is_wanted(online, model, monkeypatch, progress):
    # As on a terminal, and whatever a test before this one has turned off.
    from huggingface_hub.utils import enable_progress_bars

    enable_progress_bars()
    monkeypatch.setenv("TQDM_POSITION", "-1")
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    online.add_repo("org/name", write(model, {"tokenizer.json": "{}"}))
    open_checkpoint("org/name", progress=progress).fetch()
    assert bool(shown.getvalue()) == progress


SCRIPT = """
import json, sys
from quantcli.checkpoint import open_checkpoint
checkpoint = open_checkpoint("org/name")
checkpoint.fetch()
print(json.dumps([checkpoint.revision, sorted(checkpoint.tensors), "torch" in sys.modules]))
"""


def test_in_a_process_of_its_own_without_torch(hub, model):
    sha = hub.add_repo("org/name", model)
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, env=hub.env(), capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert json.loads(done.stdout) == [sha, ["a", "b"], False]
    hub.forget()
    offline = subprocess.run(
        command, env=hub.env(offline=True), capture_output=True, text=True, check=False
    )
    assert (offline.stdout, hub.requests) == (done.stdout, [])


def test_transformers_loads_from_it(hub, tmp_path):
    from transformers import AutoConfig, BertConfig, BertModel

    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9
    )
    reference = BertModel(config)
    reference.save_pretrained(tmp_path / "m")
    hub.add_repo("org/bert", tmp_path / "m")
    with hub.in_process():
        assert AutoConfig.from_pretrained("org/bert").hidden_size == 8
        model = BertModel.from_pretrained("org/bert")
        checkpoint = open_checkpoint("org/bert")
        checkpoint.fetch()
        state = model.state_dict()
        assert sorted(checkpoint.tensors) == sorted(state)
        for name, tensor in state.items():
            assert checkpoint.read(name).equal(tensor)
