"""What led to each token of a continuation: the map, and the page as a browser shows it."""

import json
import re

import numpy as np
import pytest

from tf_attrib.attribution import Attribution
from tf_attrib.view.generation import Told, show
from tf_attrib.view.generation_page import framed, page

from ..helpers.browser import CHROMIUM, dumped
from .test_page import IMAGE_ATTACK, RENAME

VALUES = np.array([[0.5, -1.0, 0.25, 0.0, 0.0], [0.001, 0.0, -0.002, 0.004, 0.0]])
GREEN, RED, HALF = "rgb(60, 199, 60)", "rgb(176, 8, 70)", "rgb(144, 214, 144)"


def told(columns=("the", "cat", "sat", "down", "."), values=VALUES, parts=False, **fields):
    rows = tuple(columns[-2:]) if not parts else ("down", ".")
    result = Attribution(
        values,
        np.array([-1.5, -0.25]),
        baseline_scores=np.array([-1.25, -0.253]),
        gap=np.array([0.0, 1e-5]),
        status=np.array(["converged", "max_evaluations"]),
        unit="log_probability",
        attribution_unit="log_probability",
        kind="contribution",
        **fields,
    )
    own = np.array([-1, -1]) if parts else len(columns) - np.array([2, 1])
    return Told(
        rows, tuple(columns), values, own, len(columns) - (0 if parts else 2), 0, np.array([0.22, np.nan]), result, parts
    )


def seen(tmp_path, html, probe, policy=True, size="1000,800"):
    """What a browser makes of the page, and what `probe`, a script, finds there: the policy of the page keeps it out."""
    if not policy:
        html = re.sub(r"<meta http-equiv=[^>]*>", "", html)
    html = html.replace("</body>", f"<script>document.body.dataset.seen = JSON.stringify({probe})</script></body>")
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    shown = dumped(path, f"--window-size={size}", "--virtual-time-budget=1000")
    found = re.findall(r'data-seen="([^"]*)"', shown)
    return shown, json.loads(found[0].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">")) if found else None


COLOURS = "[...document.querySelectorAll('[data-column]')].map(e => e.style.backgroundColor)"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_word_that_is_pointed_at_colours_those_that_led_to_it(tmp_path):
    point = "document.querySelector('[data-row=\"1\"]').dispatchEvent(new PointerEvent('pointerenter'))"
    leave = "document.querySelector('[data-row=\"1\"]').dispatchEvent(new PointerEvent('pointerleave'))"
    click = "document.querySelector('[data-row=\"1\"]').click()"
    about = "document.getElementById('about').innerText"
    steps = [f"[{COLOURS}]", f"({point}, [{COLOURS}, {about}])", f"({leave}, [{COLOURS}])", f"({click}, {leave}, [{COLOURS}])"]
    probe = f"[{', '.join(steps)}].flat()"
    _, (first, second, words, third, kept) = seen(tmp_path, page(told()), probe, policy=False)
    assert first == [HALF, RED, *first[2:3], "transparent", "transparent"]
    assert second[3] == GREEN  # on a scale of its own, though the other row's numbers are a hundred times as large
    assert second[0] not in ("transparent", first[0])
    assert second[1] == "transparent"
    assert third == first
    assert kept == second
    assert re.search(r"down\s+\+0.004", words)
    assert "not converged" in words


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_policy_of_the_page_lets_its_own_script_run_and_no_other(tmp_path):
    shown, found = seen(tmp_path, page(told()), "1")
    assert found is None
    assert GREEN in shown or RED in shown


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("parts", [False, True])
def test_hostile_tokens_are_text(tmp_path, parts):
    columns = (RENAME, IMAGE_ATTACK, "'\"><svg onload=\"document.title='hacked'\">", f"</script>{RENAME}", "&lt;\u2028")
    probe = "[document.title, document.body.innerText, document.querySelectorAll('img, svg').length]"
    shown, (title, text, pictures) = seen(tmp_path, page(told(columns, parts=parts)), probe, policy=False)
    assert "hacked" not in title
    assert pictures == 0
    assert all(column.strip() in text for column in columns[:4])
    assert "<title>hacked" not in shown


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("word", ["\u202eturned", "שלום", "\u05d0\u202b"])
def test_no_word_turns_the_numbers_round_that_stand_behind_it(tmp_path, word):
    """Behind a change of direction "+0.268" was shown as "862.0+"; behind a word of Hebrew its sign was."""
    place = "(node => { const range = document.createRange(); range.selectNodeContents(node); return range; })"
    item = "document.querySelector('#about li')"
    probe = f"[{item}.firstChild.getBoundingClientRect().right, {place}({item}.lastChild).getBoundingClientRect().left]"
    columns, values = (word, " b", " c", " d", " e"), VALUES.copy()
    values[0, 0] = 9
    shown, (ends, begins) = seen(tmp_path, page(told(columns, values)), probe, policy=False)
    assert ends <= begins
    assert not set(shown) & {"\u202e", "\u202b"}


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_page_is_no_wider_than_a_phone(tmp_path):
    long = page(told(("word" * 60, *[f" w{i}" for i in range(200)], " x", " y"), np.resize(VALUES, (2, 203))))
    probe = "[document.documentElement.scrollWidth, window.innerWidth]"
    _, (wide, room) = seen(tmp_path, long, probe, policy=False, size="500,850")
    assert wide <= room <= 500


def test_nothing_is_fetched_and_a_frame_holds_the_whole_page():
    html = page(told())
    assert "default-src 'none'" in html
    assert not re.search(r"(src|href)\s*=|url\(|@import|<link", html)
    frame = framed(told())
    assert 'sandbox="allow-scripts"' in frame
    assert "<script" not in frame


def test_the_map_has_a_scale_for_each_row():
    figure = show(told())
    axes = next(axes for axes in figure.subfigs[0].axes if axes.images)
    drawn = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(drawn, VALUES / [[1.0], [0.004]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["down (0.22)", "."]
    assert "scale of its own" in figure.caption
    assert "Largest gap 1e-05, at '.'" in figure.caption
    assert "not converged" in figure.caption


def test_numbers_that_are_not_finite_are_told_apart():
    values = VALUES.copy()
    values[0, 1] = np.nan
    html = page(told(values=values))
    data = json.loads(re.search(r'id="data">(.*?)</script>', html)[1])
    assert data["rows"][0]["values"][1] is None
    assert data["rows"][0]["limit"] == 0.5
    assert "1 number not finite" in html
    assert "1 number not finite" in show(told(values=values)).caption


def test_letters_that_show_nothing_are_escapes_in_pages_and_maps():
    columns = ("\u202ex", "\x00", "\ud800", "a\u2028", "\u200d👩")
    html = page(told(columns))
    html.encode()  # half a letter cannot be written to a file
    for escape in ("\\u202ex", "\\x00", "\\ud800", "a\\u2028", "\u200d👩"):
        assert escape in html
    (axes,) = [axes for axes in show(told(columns)).subfigs[0].axes if axes.images]
    assert [label.get_text() for label in axes.get_xticklabels()][:2] == ["\\u202ex", "\\x00"]
