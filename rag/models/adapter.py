"""A LoRA adapter in a folder -> merged into the model it was made for, or refused with what does not fit.

peft alone is too lenient for a shop: it reads pickles, which can run code, where there is nothing else; it leaves matrices out
that the model has no place for; and where the adapter has none, it goes on with ones that change nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rag.errors import ModelFailed, ModelMissing

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".pkl")
PAIR = "set models.adapter and models.generator to a pair"
SAMPLE = ({"role": "system", "content": "[1] 49,90 €"}, {"role": "user", "content": "How long? 多久到货？"})


def checked(folder: Path) -> dict[str, Any]:
    """The adapter's configuration, its weights being there, too. Raises ModelMissing, ModelFailed."""
    remedy = "correct models.adapter or put the adapter's files there"
    if not folder.is_dir():
        raise ModelMissing(expected=f"the folder of an adapter at {folder}", found="none", remedy=remedy)
    if not (folder / WEIGHTS).is_file():
        names = sorted(path.name for path in folder.iterdir())
        pickled = [name for name in names if name.endswith(PICKLES)]
        found = f"{', '.join(pickled)}, whose pickles can run code" if pickled else ", ".join(names) or "nothing"
        raise ModelMissing(expected=f"{WEIGHTS} in {folder}", found=found, remedy=remedy)
    if not (folder / CONFIG).is_file():
        raise ModelMissing(expected=f"{CONFIG} in {folder}", found="none", remedy=remedy)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFailed(expected=f"JSON in {folder / CONFIG}", found=str(error), remedy=remedy) from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        found = repr(config.get("peft_type")) if isinstance(config, dict) else type(config).__name__
        raise ModelFailed(expected=f'"peft_type": "LORA" in {folder / CONFIG}', found=found, remedy="choose a LoRA adapter")
    return config


def merged(model: Any, folder: Path) -> Any:  # noqa: ANN401 - transformers and peft ship no types mypy can follow
    """The model with the adapter in its weights: decoding costs the same with and without. Raises ModelMissing, ModelFailed."""
    config = checked(folder)
    _check_targets(model, folder, config)
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            held = set(file.keys())
        adapted = PeftModel.from_pretrained(model, str(folder))
        expected = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
        held -= set(adapted.state_dict()) - expected  # whole tensors that take the place of the model's, such as new embeddings
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise _unfit(model, folder, config, " ".join(str(error).split())[:300]) from error
    if odd := sorted(held ^ expected):
        whose = "no place in the model for" if odd[0] in held else "no weights for"
        raise _unfit(model, folder, config, f"{whose} {odd[0]}" + (f" and {len(odd) - 1} more" if odd[1:] else ""))
    return adapted.merge_and_unload()


def check_tokenizer(own: Any, base: Any, folder: Path) -> None:  # noqa: ANN401 - as above
    """Raises ModelFailed if the adapter's `own` tokenizer, with which it was trained, makes other tokens than the model's."""
    vocabulary, known = own.get_vocab(), base.get_vocab()
    if vocabulary != known:
        others = sorted(token for token in vocabulary.keys() | known.keys() if vocabulary.get(token) != known.get(token))
        found = f"{len(others)} tokens that only one of them has or that are numbered otherwise, such as {others[0]!r}"
    elif _rendered(own, own) != _rendered(base, own):
        found = "the same vocabulary, but other tokens for the same messages"
    else:
        return
    raise ModelFailed(expected=f"the tokenizer in {folder} to be that of models.generator", found=found, remedy=PAIR)


def has_tokenizer(folder: Path) -> bool:
    """Whether the adapter came with one."""
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json"))


def _check_targets(model: Any, folder: Path, config: dict[str, Any]) -> None:  # noqa: ANN401 - as above
    targets = config.get("target_modules")
    if not isinstance(targets, list):
        return  # a pattern, which peft refuses if nothing matches it
    names = [name for name, _ in model.named_modules()]
    missing = sorted(target for target in targets if not any(f".{name}".endswith(f".{target}") for name in names))
    if missing:
        raise _unfit(model, folder, config, f"the model has no module {', '.join(missing)}")


def _rendered(tokenizer: Any, template: Any) -> list[int]:  # noqa: ANN401 - as above
    """Tokens of SAMPLE by the tokenizer's own chat template; without one in `template`, of its texts alone."""
    if template.chat_template:
        return list(tokenizer.apply_chat_template(list(SAMPLE), add_generation_prompt=True, return_dict=True)["input_ids"])
    return list(tokenizer("".join(message["content"] for message in SAMPLE))["input_ids"])


def _unfit(model: Any, folder: Path, config: dict[str, Any], found: str) -> ModelFailed:  # noqa: ANN401 - as above
    made_for = config.get("base_model_name_or_path") or "a model it does not name"
    expected = f"the adapter {folder} to fit the model {model.config.name_or_path}"
    return ModelFailed(expected=expected, found=f"it was made for {made_for}: {found}", remedy=PAIR)
