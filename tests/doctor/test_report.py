"""The doctor's report: as text, HTML, JSON, and from the command line."""

import json

import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib.cli import main
from tf_attrib.doctor.report import Finding, Report

from ..conftest import assert_refused, make_plain_cnn
from ..helpers.sick import averaging_text

HOSTILE = "<script>alert(1)</script>\x1b[31m"


def some():
    return Report(
        (
            Finding("fine", "model", "passed", {"difference": 0.0}, "All is well."),
            Finding("gap", "integral", "note", {"gaps": np.arange(10) / 7}, "A note."),
            Finding(
                "baseline_score",
                "baseline",
                "warning",
                {"layers": {HOSTILE: 1.5}},
                f"Odd: {HOSTILE}.",
                "ta.zeros() < 1",
                (2, 5),
            ),
            Finding("other", "baseline", "error", {"value": float("nan"), "size": np.float32(2)}, "Wrong.", examples=(1,)),
        ),
        "3 examples",
    )


def test_worst_first_by_topic():
    report = some()
    assert [one.name for one in report] == ["other", "baseline_score", "gap", "fine"]
    assert report.worst == "error"
    assert not report.healthy
    assert Report(report.findings[2:]).healthy
    assert Report(()).worst is None
    assert len(report) == 4
    assert "gap" in report
    with pytest.raises(KeyError, match="baseline_score"):
        report["baseline_scor"]


def test_as_text():
    text = repr(some())
    assert text.splitlines()[0] == "3 examples: 1 error, 1 warning, 1 note, 1 passed"
    assert "WARNING  baseline_score: Odd" in text
    assert "(examples 2, 5)" in text
    assert "-> ta.zeros() < 1" in text
    assert "gaps [0, 0.1429" in text
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) < 125


def test_as_html(tmp_path):
    report = some()
    path = report.save_html(tmp_path / "report.html")
    for page in (path.read_text(), report._repr_html_()):
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
        assert "ta.zeros() &lt; 1" in page
        assert "src=" not in page
        assert "1 error, 1 warning" in page
    assert_refused(lambda: report.save_html(path), "exists", "overwrite=True")
    report.save_html(path, overwrite=True)


def test_as_json():
    found = json.loads(some().to_json())
    assert found["worst"] == "error"
    assert found["healthy"] is False
    assert found["findings"][0] == {
        "name": "other",
        "topic": "baseline",
        "severity": "error",
        "meaning": "Wrong.",
        "remedy": "",
        "evidence": {"value": "nan", "size": 2.0},
        "examples": [1],
    }
    assert len(found["findings"][2]["evidence"]["gaps"]) == 10


def test_topics_and_severities_are_known():
    assert_refused(lambda: Finding("x", "weather", "note", {}, ""), "topic", "weather", "baseline")
    assert_refused(lambda: Finding("x", "model", "fatal", {}, ""), "severity", "fatal", "error")


def test_from_the_command_line(tmp_path, capsys):
    make_plain_cnn().save(tmp_path / "cnn.keras")
    images = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype("float32")
    np.save(tmp_path / "batch.npy", images)
    command = ["diagnose", str(tmp_path / "cnn.keras"), str(tmp_path / "batch.npy")]
    page = tmp_path / "report.html"
    assert main([*command, "--json", "--html", str(page), "--target", "1", "--baseline", "0.5", "--seed", "3"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = ta.diagnose(ta.Attributor(str(tmp_path / "cnn.keras")), images, target=1, baselines=ta.constant(0.5), seed=3)
    assert [one["name"] for one in printed["findings"]] == [one.name for one in expected]
    assert "baseline score" in page.read_text()
    assert main([*command, "--html", str(page)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--html", str(page), "--force", "--steps", "1", "--default-class", "2"]) == 0
    shown = capsys.readouterr().out
    assert "n_steps=1)" in shown
    assert "default class 2" in shown


def test_words_from_the_command_line(tmp_path, capsys):
    averaging_text().save(tmp_path / "text.keras")
    (tmp_path / "ids.jsonl").write_text("[3, 4, 5]\n[6, 7, 8, 9]\n")
    (tmp_path / "words.txt").write_text("\n".join(["[pad]", "[unk]", "the", "of", "and", *(f"word{i}" for i in range(25))]))
    assert (
        main(
            [
                "diagnose",
                str(tmp_path / "text.keras"),
                str(tmp_path / "ids.jsonl"),
                "--tokens",
                str(tmp_path / "words.txt"),
                "--target",
                "1",
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert "3 stop words" in shown
    assert "padding (token 0)" in shown


def test_what_is_wrong_is_one_line(tmp_path, capsys):
    assert main(["diagnose", str(tmp_path / "none.keras"), "x.npy"]) == 2
    assert "no model at" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["diagnose", "--help"])
    assert "exit code is 0 when the examination ran" in " ".join(capsys.readouterr().out.split())
