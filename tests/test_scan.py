"""A folder as shops have them: what is read, what is passed over, what is reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag.errors import CorpusEmpty
from rag.ingest import scan as module
from rag.ingest.scan import scan


def put(folder: Path, *names: str, text: str = "Hello.") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in scan(folder).files]


def reasons(folder: Path) -> dict[str, str]:
    return {rejection.file: rejection.reason for rejection in scan(folder).rejected}


def test_every_format_in_a_fixed_order(tmp_path: Path) -> None:
    put(
        tmp_path,
        "b.md",
        "a/z.PDF",
        "a/y.docx",
        "c.htm",
        "d.html",
        "e.csv",
        "f.tsv",
        "g.xlsx",
        "h.jsonl",
        "i.jsonl.gz",
        "j.markdown",
    )
    assert sorted(names(tmp_path)) == sorted(
        ["b.md", "c.htm", "d.html", "e.csv", "f.tsv", "g.xlsx", "h.jsonl", "i.jsonl.gz", "j.markdown", "a/y.docx", "a/z.PDF"]
    )
    assert names(tmp_path) == names(tmp_path)
    assert scan(tmp_path).rejected == ()


def test_hidden_and_lock_files_are_passed_over(tmp_path: Path) -> None:
    put(
        tmp_path, "a.md", ".hidden.md", ".git/config.md", "~$a.docx", "Thumbs.db", "desktop.ini", "__MACOSX/a.md", "sub/.DS_Store"
    )
    assert names(tmp_path) == ["a.md"]
    assert reasons(tmp_path) == {}


def test_other_formats_are_reported_with_what_to_save_them_as(tmp_path: Path) -> None:
    put(tmp_path, "a.md", "old.doc", "film.mp4", "README", "data.json")
    found = reasons(tmp_path)
    assert set(found) == {"old.doc", "film.mp4", "README", "data.json"}
    assert found["old.doc"].endswith("found .doc; save it as .docx")
    assert "expected one of .md, .markdown" in found["film.mp4"]
    assert "a name without an ending" in found["README"]
    assert found["data.json"].endswith("save it as .jsonl")


def test_links(tmp_path: Path) -> None:
    folder, outside = tmp_path / "shop", tmp_path / "outside"
    put(outside, "secret.md")
    put(folder, "a.md", "..data/b.md")  # as mounted by a cluster: visible links into a hidden folder
    (folder / "b.md").symlink_to("..data/b.md")
    (folder / "out.md").symlink_to(outside / "secret.md")
    (folder / "folder").symlink_to(outside)
    (folder / "gone.md").symlink_to("nowhere.md")
    assert names(folder) == ["a.md", "b.md"]
    found = reasons(folder)
    assert "a link that leads out of it" in found["out.md"]
    assert "a link that leads out of it" in found["folder"]
    assert "a link that leads nowhere" in found["gone.md"]


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    put(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert names(tmp_path) == ["a.md"]
    assert "a pipe, socket or device" in reasons(tmp_path)["pipe.md"]


def test_a_huge_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIMIT", 1_000_000)
    put(tmp_path, "a.md")
    put(tmp_path, "big.txt", text="x" * 2_000_000)
    assert names(tmp_path) == ["a.md"]
    assert reasons(tmp_path)["big.txt"] == "expected at most 1 MB; found 2 MB; split the file"


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.md", "locked.md")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked.md")
    assert "no permission to read it" in reasons(tmp_path)["locked.md"]


@pytest.mark.parametrize(("name", "shown"), [("new\nline.md", "new\\nline.md"), (os.fsdecode(b"\xff.md"), "\\udcff.md")])
def test_a_name_that_no_report_can_show(tmp_path: Path, name: str, shown: str) -> None:
    put(tmp_path, "a.md", name)
    assert "rename the file" in reasons(tmp_path)[shown]


def test_names_in_any_script(tmp_path: Path) -> None:
    put(tmp_path, "退货　政策.md", "Größe ä.md")
    assert sorted(names(tmp_path)) == ["Größe ä.md", "退货　政策.md"]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(CorpusEmpty, match="found an empty folder; put the shop's documents there"):
        scan(tmp_path)
    with pytest.raises(CorpusEmpty, match="found nothing there; name the folder"):
        scan(tmp_path / "missing")
    put(tmp_path, "film.mp4")
    with pytest.raises(CorpusEmpty, match=r"found 1 files that cannot be read \(film.mp4: expected"):
        scan(tmp_path)
    with pytest.raises(CorpusEmpty, match="found a file; name the folder"):
        scan(tmp_path / "film.mp4")
