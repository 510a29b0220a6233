"""The processors that transformers has for a type of model, with the sizes of its config.

They turn a picture or a recording into the inputs of a model whose folder has no processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from quantcli.upstream.foreign import is_bug
from quantcli.upstream.transformers import feature_extractor_name, image_processor_name

_UNSPLIT = {"do_image_splitting": False, "crop_to_patches": False, "do_pan_and_scan": False}
"""A picture is not cut up: one piece shows as much of a vision tower as ten."""

_BY_GRID = "qwen2_vl"
"""The type whose image processor makes patches and `image_grid_thw`, as many types take them."""

_FAILURES = (
    ArithmeticError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a processor raises if it lacks a package or a setting, or cannot take its inputs."""


def use(processor: Callable[..., Any], *given: Any, **options: Any) -> Any:
    """Return what a processor of transformers, or its class, gives; None if it fails."""
    try:
        return processor(*given, **options)
    except _FAILURES as error:
        if is_bug(error):
            raise
        return None


def image_processor(config: Mapping[str, Any], names: frozenset[str]) -> Any:
    """Return the image processor of a config's model type, or None where there is none.

    `names` are those of the inputs that the model takes.
    """
    vision = part(config, "vision_config", "encoder")
    types = [str(config.get("model_type")), str(vision.get("model_type"))]
    types += [_BY_GRID] if "image_grid_thw" in names else []
    name = next(filter(None, map(image_processor_name, types)), None)
    if name is None:
        return None
    return _make(name, lambda made: _image_settings(made, config, vision))


def feature_extractor(config: Mapping[str, Any]) -> Any:
    """Return the audio feature extractor of a config's model type, or None."""
    name = feature_extractor_name(str(config.get("model_type")))
    if name is None:
        return None
    audio = part(config, "audio_config")
    settings = {name: audio.get(name) for name in ("num_mel_bins", "max_length")}
    if audio.get("enable_fusion") is False:
        settings["truncation"] = "rand_trunc"
    return _make(name, lambda _: settings)


def part(config: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the first of these parts that a config has, or the config itself."""
    found = (config.get(name) for name in names)
    return next((found for found in found if isinstance(found, dict)), config)


def _make(name: str, settings: Any) -> Any:
    import transformers

    kind = getattr(transformers, name, None)
    if kind is None:
        return None
    plain = use(kind)
    known = None if plain is None else settings(plain)
    if known is None:
        return None
    return use(kind, **{k: v for k, v in known.items() if v is not None and hasattr(plain, k)})


def _image_settings(
    plain: Any, config: Mapping[str, Any], vision: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the settings that a config implies, None if it has a size of another kind."""
    sizes = _sizes(plain, vision.get("image_size") or config.get("image_size"))
    if sizes is None:
        return None
    patch = vision.get("patch_size")
    merge = vision.get("spatial_merge_size")
    if _is_box(getattr(plain, "patch_size", None)) and isinstance(patch, int):
        step = patch * (config.get("spatial_merge_size") or 1)
        patch = {"height": step, "width": step}
    return {
        **_UNSPLIT,
        **sizes,
        "patch_size": patch,
        "merge_size": merge,
        "temporal_patch_size": vision.get("temporal_patch_size"),
        "image_grid_pinpoints": config.get("image_grid_pinpoints"),
        "pooling_kernel_size": vision.get("pooling_kernel_size"),
        "max_image_tiles": vision.get("max_num_tiles"),
        "max_patches": vision.get("max_num_patches") or vision.get("seq_len"),
    }


def _sizes(plain: Any, image_size: Any) -> dict[str, Any] | None:
    """Return the settings for pictures of a size; empty where the processor chooses it itself.

    None for a size that is neither a number nor a height and a width.
    """
    size = getattr(plain, "size", None)
    if image_size is None or size is None or hasattr(plain, "merge_size"):
        return {}
    pair = image_size if isinstance(image_size, list | tuple) else (image_size,) * 2
    if len(pair) != 2 or not all(isinstance(side, int | float) for side in pair):
        return None
    height, width = pair
    box = {"height": height, "width": width}
    if _is_box(size):
        return {"size": box}
    edges = ("shortest_edge", "longest_edge")
    known = {edge: min(height, width) for edge in edges if _side(size, edge)}
    return {
        "size": known,
        "crop_size": box,
        "pad_size": box,
        "max_image_size": {"longest_edge": max(box.values())},
    }


def _is_box(size: Any) -> bool:
    return _side(size, "height") is not None and _side(size, "width") is not None


def _side(size: Any, name: str) -> Any:
    return size.get(name) if isinstance(size, Mapping) else getattr(size, name, None)
