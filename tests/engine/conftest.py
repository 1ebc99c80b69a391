"""What the tests of this folder share."""

import copy

import pytest

from tf_attrib.engine.session import Session
from tf_attrib.graph.traced import beside, stretch
from tf_attrib.graph.traced.stretch import Stretch

from ..helpers.run_twice import as_written, assert_same


@pytest.fixture
def everywhere(monkeypatch):
    """What is worth nothing is computed ahead, too: so are the parts of small models."""
    monkeypatch.setattr(stretch, "NUMBER", 0)
    monkeypatch.setattr(stretch, "LEAST", 0)
    monkeypatch.setattr(beside, "LEAST", 1)
    monkeypatch.setattr(Stretch, "narrows", True, raising=False)
    usual = Stretch.__init__

    def made(self, *given):
        usual(self, *given)
        self.__dict__.pop("narrows")

    monkeypatch.setattr(Stretch, "__init__", made)


@pytest.fixture
def compared(monkeypatch):
    """Has whatever something was computed ahead of be run as it is written, too, and compared; runs so far, and such runs."""
    usual, plain, count = Session.run, {}, [0, 0]

    def run(self, row, tables, integrator, *options):
        other = copy.deepcopy(integrator)
        found = usual(self, row, tables, integrator, *options)
        count[0] += 1
        if any(one.ahead.row or one.ahead.beside for one in self._programs.values()):
            count[1] += 1
            twin = plain.setdefault(id(self._programs), copy.copy(self))
            twin._programs = {} if twin._programs is self._programs else twin._programs
            with as_written():
                assert_same(found, usual(twin, row, tables, other, *options), self.function.dtype)
        return found

    monkeypatch.setattr(Session, "run", run)
    return count
