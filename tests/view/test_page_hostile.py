"""Pages with hostile names in them, as a browser shows them: no script runs. And terminals: no name acts on one."""

import dataclasses
import html
import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import tf_attrib as ta
from tf_attrib import metrics, view
from tf_attrib.cli import main

from ..helpers.browser import CHROMIUM, dumped

ATTACKS = [
    "<script>document.title='hacked'</script>",
    "<img src=x onerror=\"document.title='hacked'\">",
    "'\"><svg onload=\"document.title='hacked'\">",
    "\u202egnp.exe\x1b[31m",
    "</td></table><iframe srcdoc='<b>x</b>'>",
]
ESCAPES = {"\x1b", "\x07", "\u202e", "\x9b"}


@pytest.fixture(scope="module")
def text():
    """A text model, and some ids with labels that are mostly wrong."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((4,), dtype="int32", name="ids")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 3)(ids))
    model = keras.Model(ids, keras.layers.Dense(2, activation="softmax")(embedded))
    rows = np.random.default_rng(0).integers(0, 5, (6, 4)).astype("int32")
    return ta.Attributor(model), rows, np.array([0, 1] * 3)


def pages(text, folder):
    attributor, rows, labels = text
    wrong = ta.misclassified(attributor, (rows, labels), 3, classes=ATTACKS[:2], vocabulary=ATTACKS)
    wrong.save_html(folder / "misclassified.html")
    compared = metrics.compare(
        attributor, rows[:2], {ATTACKS[0]: "gradient_times_input", ATTACKS[1]: "gradient"}, metrics=["aopc"]
    )
    compared.save_html(folder / "compared.html")
    report = ta.diagnose(attributor, rows[:2], vocabulary=ATTACKS)
    report.save_html(folder / "report.html")
    result = attributor.attribute(rows[:2])
    tokens = [[ATTACKS[i] for i in row] for row in rows[:2]]
    parts = [result.to_html(tokens), wrong._repr_html_(), compared.to_html(), compared._repr_html_(), report._repr_html_()]
    (folder / "parts.html").write_text("<!doctype html><meta charset=utf-8><body>" + "\n".join(parts) + "</body>")
    return sorted(folder.glob("*.html"))


def in_a_browser(texts, folder):
    """What a browser makes of each of these pages, in frames of one page that say nothing against scripts."""
    frames = "".join(f'<iframe srcdoc="{html.escape(text)}"></iframe>' for text in texts)
    made = "[...document.querySelectorAll('iframe')].map(frame => frame.contentDocument.documentElement.outerHTML)"
    told = f"<script>onload = () => document.body.dataset.made = JSON.stringify({made})</script>"
    path = folder / "frames.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{told}<body>{frames}</body>", encoding="utf-8")
    shown = dumped(path, "--virtual-time-budget=1000")
    (found,) = re.findall(r'data-made="([^"]*)"', shown)
    return json.loads(html.unescape(found))


def test_pages_hold_no_letter_that_shows_nothing_or_turns_others_round(text, tmp_path):
    for path in pages(text, tmp_path):
        assert not set(path.read_text(encoding="utf-8")) & ESCAPES, path.name


PROBE = "<script>document.body.dataset.ran = 'probe'; document.body.dataset.seen = document.body.innerText</script></body>"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.filterwarnings("ignore")
def test_pages_run_no_script_in_a_browser(text, tmp_path):
    written = pages(text, tmp_path)
    # a page's own policy would stop scripts, too: without it, escaping alone must do
    texts = [re.sub(r"<meta http-equiv=[^>]*>", "", path.read_text(encoding="utf-8")) for path in written]
    texts.append(f"<!doctype html><html><head></head><body>{ATTACKS[0]}</body></html>")  # where nothing is escaped
    *shown_each, hacked = in_a_browser([one.replace("</body>", PROBE) for one in texts], tmp_path)
    assert "<title>hacked" in hacked
    for path, shown in zip(written, shown_each, strict=True):
        assert 'data-ran="probe"' in shown, path  # scripts do run in this browser
        assert "<title>hacked" not in shown, path
        (seen,) = re.findall(r'data-seen="([^"]*)"', shown)
        rest = shown.replace(seen, "")
        assert rest.count("<script") == 1, path
        assert not re.search(r"<(iframe|svg onload|img src=.?x)", rest), path
        assert "onerror" in seen or "document.title" in seen or path.name == "report.html", path  # shown, as text


def renamed(path, source, given):
    """A copy of a model file in which names hold escape sequences."""
    evil = "\x1b]0;owned\x07\u202e\x9bred"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                data = json.dumps(config).replace(f'"{given}"', json.dumps(given + evil)).encode()
            new.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore")
def test_no_name_of_a_file_acts_on_a_terminal(tmp_path, capsys):
    entry = keras.Input((4,), name="i")
    keras.Model(entry, keras.layers.Dense(2, activation="softmax", name="head")(entry)).save(tmp_path / "a.keras")
    path = str(renamed(tmp_path / "b.keras", tmp_path / "a.keras", "i"))
    np.save(tmp_path / "x.npy", np.ones((2, 4), "float32"))
    given, out = str(tmp_path / "x.npy"), str(tmp_path / "out")
    commands = [
        ["inspect", path],
        ["inspect", path, "--json"],
        ["attribute", path, given, "--out", out, "--pictures", "0"],
        ["attribute", path, given, "--out", out + "2", "--of", "nothing"],
        ["diagnose", path, given],
        ["compare", path, given, "--methods", "gradient", "--metrics", "sparseness"],
        ["inspect", path, "--signature", "\x1b]0;x\x07"],
        ["inspect", str(tmp_path / "\x1b]0;x\x07.keras")],
    ]
    for number, command in enumerate(commands):
        code = main(command)
        said = "".join(capsys.readouterr())
        assert not ESCAPES & set(said), command
        assert code == (0 if number in (0, 1, 2, 4, 5) else 2), said
    assert "\\x1b" in said
    main(["inspect", str(renamed(tmp_path / "c.keras", tmp_path / "a.keras", "head"))])  # TensorFlow takes no such name
    said = "".join(capsys.readouterr())
    assert "\\x1b" in said
    assert not ESCAPES & set(said)
    result = ta.load(Path(out) / "attribution.npz")
    hostile = dataclasses.replace(result, of="\x1b]0;owned\x07", notes=("\u202enote",), unit="\x9bunit")
    hostile.save(tmp_path / "hostile.npz")
    printed = repr(ta.load(tmp_path / "hostile.npz"))
    assert "\\x1b]0;owned\\x07" in printed
    assert not ESCAPES & set(printed)
    attributor = ta.Attributor(path)
    assert not ESCAPES & set(repr(attributor))
    with pytest.raises(ta.AttributionError) as raised:
        ta.Attributor(path, of="nothing")
    assert not ESCAPES & set(str(raised.value))


def test_a_notebook_shows_something_of_a_result_that_is_broken():
    broken = ta.Attribution(np.ones((1, 2)), np.ones(1))
    object.__setattr__(broken, "scores", None)
    assert broken._repr_html_().startswith("<pre>")


def test_names_in_a_table_of_features_may_be_numbers():
    assert "<td" in view.table_html([(3, 1.5, 0.25, None, 1.0), ("a\u202e", "x\x1b", -0.25, 0.1, 0.5)])
    assert not ESCAPES & set(view.table_html([("a\u202e", "x\x1b", -0.25, 0.1, 0.5)]))
