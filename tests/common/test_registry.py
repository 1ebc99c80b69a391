"""A table by name that others may add to."""

import pytest

from tf_attrib.common.errors import AttributionError
from tf_attrib.common.registry import Registry


def even(name, value):
    if value % 2:
        raise AttributionError(f"{name} must be even")
    return value


@pytest.fixture
def table():
    made = Registry("number", even)
    made.fill({"two": 2, "four": 4})
    return made


def test_others_add_entries_and_set_their_own_again(table):
    table["six"] = 8
    table["six"] = 6
    table |= {"eight": 8}
    assert dict(table) == {"two": 2, "four": 4, "six": 6, "eight": 8}
    assert dict(table.added) == {"six": 6, "eight": 8}
    assert len(table) == 4
    assert "six" in repr(table)
    del table["six"]
    assert "six" not in table


def test_entries_of_the_library_stay_unless_they_are_replaced_on_purpose(table):
    with pytest.raises(AttributionError, match=r"has a number 'two'.*replace=True"):
        table["two"] = 4
    with pytest.raises(AttributionError, match="'two' is the library's own"):
        del table["two"]
    table.add("two", 20, replace=True)
    assert table["two"] == 20
    assert list(table) == ["two", "four"]
    del table["two"]
    assert table["two"] == 2


def test_what_does_not_fit_is_refused(table):
    with pytest.raises(AttributionError, match="three must be even"):
        table["three"] = 3
    for name in ("", "a b", "1st", None, 3):
        with pytest.raises(AttributionError, match="the name of a number is one word"):
            table[name] = 6
    assert set(table) == {"two", "four"}
    with pytest.raises(KeyError):
        del table["five"]


def test_the_version_tells_when_something_changed(table):
    first = table.version
    table["six"] = 6
    second = table.version
    del table["six"]
    assert first < second < table.version
