"""From samples to inputs: the tokenizer and the processors of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantcli.checkpoint.jsonfile import read_object
from quantcli.checkpoint.records import TOKENIZER_FILES
from quantcli.comparison.inputs.processors import use
from quantcli.comparison.samples import SAMPLING_RATE
from quantcli.errors import ModelError, QuantcliError
from quantcli.text import first_line
from quantcli.upstream.foreign import is_bug

if TYPE_CHECKING:
    import torch

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json", "video_preprocessor.json")

_CONFIGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Files that do not make a tokenizer by themselves."""

ENDLESS = 10**9
"""A tokenizer without a limit has a `model_max_length` above this."""


@dataclass
class Kit:
    """The tokenizer and the processors in a model's folder; None for those without files."""

    folder: Path
    config: Mapping[str, Any]
    model: str = ""
    """The model's name, for messages."""
    trust_remote_code: bool = False
    twin: Kit | None = None
    """The other model's kit, if its tokenizer must be checked to give the same tokens."""
    text_tokens: int | None = None
    """Tokens to cut each text to, None for as many as the model takes."""
    truncated: list[str] = field(default_factory=list)
    """The names of samples that are too long."""

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, or None."""
        known = [name for name in TOKENIZER_FILES if name not in _CONFIGS]
        if not any((self.folder / name).is_file() for name in known):
            return None
        from transformers import AutoTokenizer

        return self._load(AutoTokenizer, TOKENIZER_FILES)

    @cached_property
    def image_processor(self) -> Any:
        """The image processor, or None. Uses Pillow, since torchvision may not be installed."""
        if not self._has_processor:
            return None
        from transformers import AutoImageProcessor

        return self._load(AutoImageProcessor, PROCESSOR_FILES, backend="pil")

    @cached_property
    def feature_extractor(self) -> Any:
        """The audio feature extractor, or None."""
        if not self._has_processor:
            return None
        from transformers import AutoFeatureExtractor

        return self._load(AutoFeatureExtractor, PROCESSOR_FILES)

    @cached_property
    def processor(self) -> Any:
        """The processor of texts with images or recordings, or None if it cannot be loaded.

        Many need torchvision, but only for videos: then their parts are used one by one.
        """
        if not self._has_processor or self.tokenizer is None:
            return None
        from transformers import AutoProcessor

        try:
            found = self._load(AutoProcessor, PROCESSOR_FILES, backend="pil")
        except ModelError:
            return None
        return found if getattr(found, "tokenizer", None) is not None else None

    @property
    def _has_processor(self) -> bool:
        return any((self.folder / name).is_file() for name in PROCESSOR_FILES)

    @cached_property
    def max_tokens(self) -> int | None:
        """Maximum number of tokens of a text, or None without a limit."""
        text = self.config.get("text_config") or self.config
        limits = [
            getattr(self.tokenizer, "model_max_length", None),
            text.get("max_position_embeddings"),
            text.get("n_positions") if "d_kv" not in text else None,  # relative ones in T5
            read_object(self.folder / "sentence_bert_config.json").get("max_seq_length"),
            self.text_tokens,
        ]
        known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < ENDLESS]
        return min(known, default=None)

    def tokenize(self, name: str, text: str) -> dict[str, torch.Tensor]:
        """Return the model's inputs for a text, (1, tokens) each; truncates a long one."""
        limit = self.max_tokens
        whole = self.check_twin(name, text)
        if limit is not None and len(whole) > limit:
            self.truncated.append(name)
        options = {"truncation": limit is not None, "max_length": limit, "return_tensors": "pt"}
        return dict(self._call("tokenizer", self.tokenizer, text, **options))

    def check_twin(self, name: str, text: str) -> list[int]:
        """Return the tokens of a text. Raises `ModelError` where the other model has others."""
        whole = self._tokens(text)
        if self.twin is not None and self.twin._tokens(text) != whole:
            raise ModelError(f"the tokenizers of the two models differ on {name}")
        return whole

    def _tokens(self, text: str) -> list[int]:
        # verbose=False: the tokenizer need not warn of long texts, which are truncated later
        found = self._call("tokenizer", self.tokenizer, text, verbose=False)
        tokens: list[int] = found["input_ids"]
        return tokens

    def labels(self, target: str | None) -> torch.Tensor | None:
        """Return the tokens of a target, (tokens,); None without one, or without a tokenizer."""
        if target is None or self.tokenizer is None:
            return None
        import torch

        found = self._call("tokenizer", self.tokenizer, text_target=target)
        return torch.tensor(found["input_ids"][: self.text_tokens])

    def process(self, kind: str, value: Any, text: str) -> dict[str, torch.Tensor] | None:
        """Return the inputs for an image or a recording with a text, from the joint processor.

        None if there is no such processor, or if it fails on them.
        """
        if self.processor is None:
            return None
        media = {"images": [value]} if kind == "image" else {"audio": [value]}
        prompt = _prompt(self.processor, kind, text)
        if prompt is None:
            return None
        found = use(self.processor, text=[prompt], **media, return_tensors="pt")
        if found is None:
            return None
        import torch

        return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}

    def see(self, image: Any) -> dict[str, torch.Tensor]:
        """Return the model's inputs for an image, (1, ...)."""
        processor = self.image_processor
        return dict(self._call("image processor", processor, images=image, return_tensors="pt"))

    def hear(self, name: str, audio: Any) -> dict[str, torch.Tensor]:
        """Return the model's inputs for mono audio at `SAMPLING_RATE`, (1, ...)."""
        limit = getattr(self.feature_extractor, "n_samples", None)
        if isinstance(limit, int) and len(audio) > limit:
            self.truncated.append(name)
        rate = getattr(self.feature_extractor, "sampling_rate", SAMPLING_RATE)
        if rate != SAMPLING_RATE:
            message = f"its feature extractor takes recordings of {rate} Hz, not {SAMPLING_RATE} Hz"
            raise ModelError(message, hint="try --task outputs")
        options = {"sampling_rate": rate, "return_tensors": "pt"}
        return dict(self._call("feature extractor", self.feature_extractor, audio, **options))

    def decode(self, tokens: list[int]) -> str:
        """Return tokens as text, or their numbers without a tokenizer."""
        if self.tokenizer is None:
            return " ".join(map(str, tokens))
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def _call(self, what: str, tool: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """Call the tokenizer or a processor. Raises `ModelError` if it fails in any way."""
        try:
            return tool(*given, **options)
        except (QuantcliError, MemoryError):
            raise
        except Exception as error:  # tokenizers raises nothing more specific
            if is_bug(error):
                raise
            raise ModelError(f"{self.folder}: its {what} failed: {first_line(error)}") from error

    def _load(self, kind: Any, files: tuple[str, ...], **options: Any) -> Any:
        for name in files:
            if name.endswith(".json"):
                read_object(self.folder / name)
        try:
            return kind.from_pretrained(
                str(self.folder.resolve()),
                local_files_only=True,
                trust_remote_code=self.trust_remote_code,
                **options,
            )
        except MemoryError:
            raise
        except Exception as error:  # tokenizers raises nothing more specific
            if is_bug(error):
                raise
            reason = first_line(error).partition(". ")[0]  # then comes advice for other cases
            what = kind.__name__.removeprefix("Auto")
            raise ModelError(f"{self.folder}: cannot load its {what}: {reason}") from error


def _prompt(processor: Any, kind: str, text: str) -> str | None:
    """Return a text as the processor takes it: as a chat, or after the token of the picture.

    None if the processor cannot make a chat of it.
    """
    if getattr(processor, "chat_template", None):
        content = [{"type": kind}, {"type": "text", "text": text}]
        chat = [{"role": "user", "content": content}]
        template = processor.apply_chat_template
        found = use(template, chat, tokenize=False, add_generation_prompt=True)
        return None if found is None else str(found)
    token = getattr(processor, f"{kind}_token", None)
    return text if token is None else f"{token}\n{text}"
