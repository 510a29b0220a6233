"""Files of the user's: read as models want them, refused with a reason."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings

import numpy as np
import pytest
import soundfile
from messages import refuses
from PIL import Image

from quantcli.comparison.samples import SAMPLING_RATE, SampleOptions, gather
from quantcli.comparison.samples.files import read_audio, read_image
from quantcli.comparison.samples.jsonl import read_data
from quantcli.errors import QuantcliError, UsageError


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGBA", (20, 10), (255, 0, 0, 128)).save(path)
    return path


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "recording.wav"
    time = np.arange(44100) / 44100
    soundfile.write(path, np.stack([np.sin(880 * np.pi * time), 0 * time], axis=1), 44100)
    return path


def test_images_become_rgb(picture):
    image = read_image(str(picture))
    assert (image.mode, image.size) == ("RGB", (20, 10))


def test_images_are_turned_as_the_camera_was(tmp_path):
    image = Image.new("RGB", (20, 10))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(str(tmp_path / "turned.jpg")).size == (10, 20)


def test_audio_becomes_mono_at_the_rate_of_speech_models(recording):
    wave = read_audio(str(recording))
    assert wave.dtype == np.float32
    assert len(wave) == pytest.approx(SAMPLING_RATE, abs=2)
    assert np.abs(wave).max() == pytest.approx(0.5, abs=0.05)
    peak = np.abs(np.fft.rfft(wave)).argmax()
    assert peak == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("gone.png", None, "no such file: ", id="missing"),
        pytest.param("empty.png", b"", "cannot be read as an image: ", id="empty"),
        pytest.param("text.jpg", b"hello", "cannot be read as an image: ", id="text"),
        pytest.param(".", None, "is not a file", id="folder"),
        pytest.param("a\0b.png", None, "no such file: ", id="no name of a file"),
    ],
)
def test_unreadable_images(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_image(f"{tmp_path}/{name}")


def test_a_truncated_image(picture):
    content = picture.read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture)
    content = picture.read_bytes()
    picture.write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match="cannot be read as an image"):
        read_image(str(picture))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb(picture, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(UsageError, match="too large an image"):
        read_image(str(picture))


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE", b"hello"], ids=["empty", "cut", "text"])
def test_unreadable_audio(content, tmp_path):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read as audio"):
        read_audio(str(path))


@pytest.mark.parametrize("values", [[], [0.0, float("nan")]], ids=["nothing", "NaN"])
def test_audio_without_sound(values, tmp_path):
    path = tmp_path / "bad.wav"
    soundfile.write(path, np.array(values), 16000, subtype="FLOAT")
    with pytest.raises(UsageError, match="empty or contains NaN or infinite values"):
        read_audio(str(path))


def test_audio_needs_its_extra(recording, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with refuses(UsageError, "soundfile", hint="quantcli[audio]"):
        read_audio(str(recording))


def test_lines_hold_samples_of_every_kind(picture, recording, tmp_path):
    path = tmp_path / "data.jsonl"
    lines = [
        {"text": "a red cat", "image": picture.name},
        {"audio": recording.name, "target": "a tone"},
    ]
    path.write_text("\n\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8-sig")
    text, image, audio = read_data(str(path))
    assert text.read().value == "a red cat"
    assert image.read().value.size == (20, 10)
    assert audio.target == "a tone"
    assert audio.read().name == f"{path} line 3"


@pytest.mark.parametrize(
    ("content", "facts", "hint"),
    [
        pytest.param(b"", "no samples", '{"text": "Hello"}', id="empty"),
        pytest.param(b"\n \n", "no samples", (), id="blank"),
        pytest.param(b'{"text": "a"}\n{"text"', ("line 2", "not JSON"), (), id="not JSON"),
        pytest.param(b"[1]", ("line 1", "an object"), (), id="a list"),
        pytest.param(b'{"txt": "a"}', ("line 1", "txt"), "text", id="unknown"),
        pytest.param(b'{"text": 3}', ("line 1", "text", "not empty"), (), id="a number"),
        pytest.param(b'{"text": ""}', ("line 1", "text", "not empty"), (), id="no text"),
        pytest.param(b'{"target": "a"}', ("line 1", "text", "image", "audio"), (), id="target"),
        pytest.param(b'{"text": "\\ud800"}', ("line 1", "text", "surrogate"), (), id="half"),
        pytest.param(b'\n{"text": "\xff"}', ("line 2", "UTF-8", "byte 10"), (), id="UTF-8"),
    ],
)
def test_bad_lines(content, facts, hint, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    with refuses(UsageError, facts, hint=hint):
        read_data(str(path))


def test_a_line_with_a_bad_file(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a"}\n{"image": "x.png"}\n')
    *_, image = read_data(str(path))
    with pytest.raises(UsageError, match=r"data\.jsonl line 2: no such file: .*x\.png"):
        image.read()


def test_files_that_are_not_used_are_not_read(picture):
    options = SampleOptions(image=(str(picture), "gone.png"), limit=1)
    assert len(gather(options, needs=["image"], limits={"image": 24}).images) == 1


def test_a_file_of_a_kind_that_the_model_does_not_take_is_not_read():
    options = SampleOptions(image=("gone.png",))
    with pytest.raises(UsageError, match=r"--image gone\.png: this model takes no image"):
        gather(options, needs=["text"], limits={"text": 24})


def test_images_of_16_bits_keep_their_greys(tmp_path):
    grey = np.array([[0, 128 << 8], [64 << 8, 255 << 8]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    image = read_image(str(tmp_path / "grey.png"))
    assert np.asarray(image)[..., 0].tolist() == [[0, 128], [64, 255]]


def test_a_recording_whose_end_is_missing(recording):
    recording.write_bytes(recording.read_bytes()[:-1000])
    with pytest.raises(UsageError, match="its end is missing"):
        read_audio(str(recording))


def test_a_recording_that_its_writer_could_not_finish(recording):
    content = recording.read_bytes()
    recording.write_bytes(content[:4] + b"\xff" * 4 + content[8:])
    assert len(read_audio(str(recording)))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "JPEG", "PNG"])
def test_damaged_images_are_read_or_refused(kind, tmp_path):
    noise = np.random.default_rng(0)
    path = tmp_path / "image"
    image = Image.fromarray(noise.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    image.save(path, format=kind)
    content = path.read_bytes()
    for _ in range(40):
        damaged = bytearray(content)
        for place in noise.integers(0, min(200, len(damaged)), 3):
            damaged[place] = noise.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(QuantcliError), warnings.catch_warnings(action="ignore"):
            read_image(str(path))


def test_no_such_file_of_lines(tmp_path):
    with pytest.raises(QuantcliError, match="no such file"):
        read_data(str(tmp_path / "gone.jsonl"))
