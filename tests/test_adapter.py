"""An adapter that fits is merged in; of any other the shop is told what was expected, what was found, and what to do."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
from tiny_models import TEMPLATE, make_adapter, make_llama

from rag.errors import ModelFailed, ModelMissing, ShoptalkError
from rag.models.adapter import CONFIG, WEIGHTS
from rag.models.generate import TransformersGenerator
from rag.types import Turn

QUESTION = [Turn("system", "Answer."), Turn("user", "How long does the battery last?")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="module")
def fitting(base: Path) -> Path:
    return make_adapter(base, base.parent / "adapter")


@pytest.fixture
def adapter(fitting: Path, tmp_path: Path) -> Path:
    """One that fits, to be spoilt."""
    return Path(shutil.copytree(fitting, tmp_path / "adapter"))


def reply(generator: TransformersGenerator) -> str:
    return "".join(piece.text for piece in generator.stream(QUESTION, 20, lambda: False))


def refused(base: Path, adapter: Path, kind: type[ShoptalkError], message: str) -> None:
    with pytest.raises(kind, match=message):
        TransformersGenerator(base, adapter).load()


def configure(adapter: Path, **changes: object) -> None:
    config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    (adapter / CONFIG).write_text(json.dumps(config | changes), encoding="utf-8")


def test_an_adapter_is_merged_in(base: Path, fitting: Path) -> None:
    plain, adapted = TransformersGenerator(base, dtype="float32"), TransformersGenerator(base, fitting, dtype="float32")
    assert reply(adapted) != reply(plain)
    assert adapted.fingerprint.startswith(plain.fingerprint + "+adapter@")
    assert not any("lora" in name for name, _ in adapted.load().model.named_parameters())


class Bomb:
    """What a pickle can do to the machine that reads it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt", "adapter_model.pkl"])
def test_pickles_are_refused_unread(base: Path, adapter: Path, tmp_path: Path, name: str) -> None:
    (adapter / WEIGHTS).unlink()
    (adapter / name).write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    refused(base, adapter, ModelMissing, rf"expected {WEIGHTS} in {adapter}; found {name}, whose pickles can run code; correct")
    assert not (tmp_path / "exploded").exists()
    pickle.loads((adapter / name).read_bytes())
    assert (tmp_path / "exploded").exists()  # it would have


def test_no_folder_no_weights_and_no_configuration_are_told(base: Path, adapter: Path) -> None:
    refused(base, adapter / "nowhere", ModelMissing, "the folder of an adapter at .*nowhere; found none; correct models.adapter")
    (adapter / CONFIG).unlink()
    refused(base, adapter, ModelMissing, rf"expected {CONFIG} in {adapter}; found none")
    shutil.rmtree(adapter)
    adapter.mkdir()
    refused(base, adapter, ModelMissing, rf"expected {WEIGHTS} in {adapter}; found nothing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r = 8", rf"expected JSON in .*{CONFIG}; found Expecting value.*; correct models.adapter"),
        ("[]", "found list; choose a LoRA adapter"),
        ("{}", "found None; choose a LoRA adapter"),
        ('{"peft_type": "PROMPT_TUNING"}', "found 'PROMPT_TUNING'; choose a LoRA adapter"),
        ('{"peft_type": "LORA", "r": "many", "target_modules": ["q_proj"]}', "it was made for a model it does not name: "),
    ],
)
def test_a_configuration_that_is_none_is_refused(base: Path, adapter: Path, text: str, message: str) -> None:
    (adapter / CONFIG).write_text(text, encoding="utf-8")
    refused(base, adapter, ModelFailed, message)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"hidden": 64}, "size mismatch"),
        ({"layers": 3}, "no place in the model for .*layers.2.*q_proj.* and 3 more"),
        ({"layers": 1}, "no weights for .*layers.1.*q_proj.* and 3 more"),
    ],
)
def test_an_adapter_of_another_model_is_refused_naming_both(
    base: Path, tmp_path: Path, shape: dict[str, int], message: str
) -> None:
    other = make_llama(tmp_path / "other", **shape)  # type: ignore[arg-type]
    adapter = make_adapter(other, tmp_path / "adapter")
    told = rf"expected the adapter {adapter} to fit the model {base}; found it was made for {other}: .*{message}"
    refused(base, adapter, ModelFailed, rf"{told}.*; set models.adapter and models.generator to a pair")


@pytest.mark.parametrize("targets", [["c_attn"], ["q_proj", "v_proj", "c_attn"]])
def test_an_adapter_of_another_architecture_is_refused(base: Path, adapter: Path, targets: list[str]) -> None:
    configure(adapter, target_modules=targets, base_model_name_or_path="owner/gpt")
    refused(base, adapter, ModelFailed, "it was made for owner/gpt: the model has no module c_attn; set models.adapter and")


def test_a_pattern_that_matches_nothing_is_refused(base: Path, adapter: Path) -> None:
    configure(adapter, target_modules=r".*\.c_attn")
    refused(base, adapter, ModelFailed, f"the adapter {adapter} to fit")


def test_damaged_weights_are_refused(base: Path, adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-100])
    refused(base, adapter, ModelFailed, f"the adapter {adapter} to fit the model .*incomplete")


def with_tokenizer(base: Path, adapter: Path) -> dict[str, str]:
    """Puts the base's own beside the adapter; the text of its files, by name."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(base / name, adapter)
    return {path.name: path.read_text(encoding="utf-8") for path in adapter.glob("*token*")}


def test_the_tokenizer_of_the_model_beside_the_adapter_changes_nothing(base: Path, adapter: Path, fitting: Path) -> None:
    with_tokenizer(base, adapter)
    assert reply(TransformersGenerator(base, adapter, dtype="float32")) == reply(
        TransformersGenerator(base, fitting, dtype="float32")
    )


def test_another_tokenizer_beside_the_adapter_is_refused(base: Path, adapter: Path) -> None:
    parts = json.loads(with_tokenizer(base, adapter)["tokenizer.json"])
    vocabulary = parts["model"]["vocab"]
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    (adapter / "tokenizer.json").write_text(json.dumps(parts), encoding="utf-8")
    refused(base, adapter, ModelFailed, f"the tokenizer in {adapter} to be that of models.generator; found 2 tokens .*'A'; set")


def test_another_chat_template_beside_the_adapter_is_refused(base: Path, adapter: Path) -> None:
    with_tokenizer(base, adapter)
    (adapter / "chat_template.jinja").write_text(TEMPLATE.replace("assistant", "shop"), encoding="utf-8")
    refused(base, adapter, ModelFailed, "found the same vocabulary, but other tokens for the same messages; set models.adapter")
    (adapter / "chat_template.jinja").unlink()
    assert TransformersGenerator(base, adapter).load()  # it names none: the model's own is right


def test_a_tokenizer_that_cannot_be_read_is_refused(base: Path, adapter: Path) -> None:
    (adapter / "tokenizer.json").write_text("{", encoding="utf-8")
    refused(base, adapter, ModelFailed, f"a tokenizer in {adapter}; found .*; choose another model, or put")
