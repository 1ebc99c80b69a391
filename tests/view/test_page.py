"""The report page: stands alone, escapes everything, is written whole or not at all."""

import re

import numpy as np
import pytest
from markupsafe import Markup

from tf_attrib.attribution import Attribution
from tf_attrib.common.errors import AttributionError
from tf_attrib.view import Code, Section, Table, page, show, to_html, write_page

from ..helpers.browser import CHROMIUM, dumped

ATTACK = "<script>alert(1)</script>"
RENAME = "<script>document.title='hacked'</script>"
IMAGE_ATTACK = "<img src=x onerror=\"document.title='hacked'\">"


def words():
    tokens = [ATTACK, RENAME, IMAGE_ATTACK, "good"]
    return Attribution(
        np.array([[0.4, -0.2, 0.0, 0.1]]),
        np.array([0.8]),
        inputs=np.array([[1, 2, 3, 4]]),
        tokens=np.array([tokens]),
        unit="probability",
    )


def sections():
    figure = show(Attribution(np.random.default_rng(0).normal(size=(1, 8, 8)), np.ones(1)))
    table = Table(["example", "score " + ATTACK], [[0, 0.5], [1, ATTACK]], "A caption " + ATTACK)
    return [
        Section("Words " + ATTACK, [to_html(words()), "A paragraph " + ATTACK]),
        Section("Pictures", [figure]),
        Section("Numbers", [table, Code("tf-attrib attribute " + ATTACK)]),
    ]


def test_everything_but_markup_is_escaped():
    html = page("Report " + ATTACK, sections(), ["An introduction " + ATTACK])
    assert "<script" not in html
    assert "<img src=x" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 9
    assert "<b>bold</b>" in page("t", [Section("s", [Markup("<b>bold</b>")])])


def test_nothing_is_fetched_from_elsewhere():
    html = page("Report", sections())
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:image/png;base64,|#)", html)
    assert "url(" not in html
    assert "@import" not in html
    assert "<link" not in html
    assert "default-src 'none'" in html


def test_pictures_have_their_caption_as_alternative_text():
    html = page("Report", sections())
    (text,) = re.findall(r'<img src="data:image/png[^"]*" width="\d+" height="\d+" alt="([^"]*)"', html)
    assert text.startswith("Pictures. Light green raises the score")


def test_contents_appear_from_three_sections_on():
    assert 'href="#section-3"' in page("Report", sections())
    assert "<nav" not in page("Report", sections()[:2])


def test_unknown_blocks_are_refused():
    with pytest.raises(AttributionError, match="got int"):
        page("Report", [Section("s", [3])])


def test_an_existing_file_stays_unless_asked(tmp_path):
    path = tmp_path / "new" / "index.html"
    assert write_page(path, "One", []) == path
    with pytest.raises(AttributionError, match="exists"):
        write_page(path, "Two", [])
    assert "<h1>One</h1>" in path.read_text()
    write_page(path, "Two", [], overwrite=True)
    assert "<h1>Two</h1>" in path.read_text()
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    assert path.stat().st_mode & 0o444 == 0o444


def test_a_failure_leaves_the_old_file_and_nothing_half_written(tmp_path, monkeypatch):
    path = write_page(tmp_path / "index.html", "Old", [])

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("tf_attrib.common.atomic.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_page(path, "New", [], overwrite=True)
    assert "<h1>Old</h1>" in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["index.html"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_script_as_a_token_is_shown_as_text_in_a_browser(tmp_path):
    path = write_page(tmp_path / "index.html", "Report", sections())
    # the page's own policy would stop scripts, too: without it, escaping alone must do
    html = re.sub(r"<meta http-equiv=[^>]*>", "", path.read_text(encoding="utf-8"))
    # a script of ours reads back what a person sees, and shows that scripts do run here
    probe = "<script>document.body.dataset.seen = document.body.innerText</script></body>"
    path.write_text(html.replace("</body>", probe), encoding="utf-8")
    shown = dumped(path)
    assert "<title>Report</title>" in shown
    (seen,) = re.findall(r'data-seen="([^"]*)"', shown)
    for token in (ATTACK, RENAME):
        assert token in seen.replace("&lt;", "<").replace("&gt;", ">")
    assert shown.count("<script") - seen.count("<script") == 1
