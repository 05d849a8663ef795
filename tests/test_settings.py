"""One settings object: file, variables, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.settings import known_keys, load


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_variables_win_over_the_file_and_arguments_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("shoptalk.toml").write_text('home = "from-file"\n[serve]\nport = 9000\nqueue = 3\n', encoding="utf-8")
    monkeypatch.setenv("SHOPTALK_SERVE__PORT", "9001")
    settings = load(home="from-argument")
    assert (settings.home, settings.serve.port, settings.serve.queue) == (Path("from-argument"), 9001, 3)
    assert load().home == Path("from-file")


def test_an_argument_for_one_key_leaves_the_rest_of_its_section() -> None:
    Path("shoptalk.toml").write_text("[serve]\nqueue = 3\n", encoding="utf-8")
    settings = load(serve={"port": 9002})
    assert (settings.serve.port, settings.serve.queue) == (9002, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hme = 'x'", "unknown setting hme"),
        ("[serve]\nprot = 1", "unknown setting serve.prot"),
        ("[serve]\nport = 99999", "serve.port.*99999"),
        ("[serve\nport = 1", "TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key(text: str, message: str) -> None:
    Path("shoptalk.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        load()


def test_an_unknown_variable_and_a_missing_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPTALK_ANSWER__NEWTOKENS", "3")
    with pytest.raises(SettingsError, match="SHOPTALK_ANSWER__NEWTOKENS"):
        load()
    monkeypatch.delenv("SHOPTALK_ANSWER__NEWTOKENS")
    monkeypatch.setenv("SHOPTALK_SETTINGS", "nowhere.toml")
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load()


def test_secrets_are_not_shown() -> None:
    assert "hunter2" not in repr(load(models={"api_key": "hunter2"}, database_url="postgresql://u:hunter2@h/d"))


def test_known_keys_cover_every_section() -> None:
    assert {"home", "shop.name_en", "models.api_url", "serve.port"} <= set(known_keys())
