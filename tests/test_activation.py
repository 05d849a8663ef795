"""An adapter goes live only where nothing watched got worse, and then together with what is fitted for it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rag.answer.fitted import NAME
from rag.errors import DataError
from rag.evaluate.metrics import Figure
from rag.models.resolve import LIVE_ADAPTER, LIVE_SELECTOR
from rag.settings import Settings
from rag.tune import activation
from rag.tune.activation import Change, compare, try_models


def result(score: float, wrong: float) -> Any:
    figures = {"score": Figure(score, 100), "answers.wrong": Figure(wrong, 100), "latency.total_p50": Figure(1.0, 100)}
    return SimpleNamespace(languages={"en": figures})


def test_worse_is_more_wrong_or_less_right() -> None:
    assert Change("score", "en", 0.5, 0.47).is_worse(0.02) and not Change("score", "en", 0.5, 0.49).is_worse(0.02)
    assert Change("answers.wrong", "en", 0.1, 0.13).is_worse(0.02) and not Change("answers.wrong", "en", 0.1, 0.0).is_worse(0.02)
    assert [change.metric for change in compare(result(0.1, 0.1), result(0.2, 0.1))] == ["score", "answers.wrong"]


@pytest.mark.parametrize(("after", "live"), [(result(0.6, 0.1), True), (result(0.6, 0.2), False)])
def test_it_goes_live_with_its_weights_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: Any, live: bool
) -> None:
    home, adapter, selector = tmp_path / "home", tmp_path / "adapter", tmp_path / "chooser"
    for folder in (home / "index", adapter, selector):
        folder.mkdir(parents=True)
    (selector / "kept.safetensors").write_text("new", encoding="utf-8")
    (home / NAME).write_text("old", encoding="utf-8")
    (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    results = [result(0.5, 0.1), after]
    asked: list[Settings] = []

    def evaluated(settings: Settings, *_: object, **__: object) -> Any:
        asked.append(settings)
        return results[len(asked) - 1]

    monkeypatch.setattr(activation, "evaluate_answers", evaluated)
    monkeypatch.setattr(activation, "tune_answers", lambda settings, *_, **__: (settings.home / NAME).write_text("new"))
    new = {"adapter": adapter, "selector": selector}
    changes, is_live = try_models(Settings(home=home), new, [tmp_path / "dev"], tmp_path / "test", tmp_path / "out")
    assert (is_live, len(changes)) == (live, 2)
    assert asked[0].home == home and asked[1].home != home and (asked[1].home / "index").resolve() == (home / "index").resolve()
    assert (asked[1].models.adapter, asked[1].models.selector) == (str(adapter), str(selector))
    assert (home / NAME).read_text(encoding="utf-8") == ("new" if live else "old")
    assert (home / LIVE_ADAPTER / "adapter_config.json").is_file() == live
    assert (home / LIVE_SELECTOR / "kept.safetensors").is_file() == live


def test_it_is_judged_by_other_questions_than_it_was_fitted_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="other questions to judge by"):
        try_models(Settings(home=tmp_path), {"adapter": tmp_path}, [tmp_path / "gold"], tmp_path / "gold", tmp_path / "out")
    for new, said in (
        ({"adapter": tmp_path}, "no adapter_config.json"),
        ({"selector": tmp_path}, "tune selector"),
        ({}, "neither"),
    ):
        with pytest.raises(DataError, match=said):
            try_models(Settings(home=tmp_path), new, [tmp_path / "dev"], tmp_path / "test", tmp_path / "out")
