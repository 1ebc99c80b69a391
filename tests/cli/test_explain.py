"""`tf-attrib explain`: requests in, responses of an endpoint's shape out."""

import json

import keras
import pytest

import tf_attrib as ta
from tf_attrib.cli import main
from tf_attrib.vertex import requests

from ..helpers import vertex_models as models
from ..helpers.vertex_models import COLUMN_METADATA, INSTANCES

PARAMETERS = {"integratedGradientsAttribution": {"stepCount": 20}}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    path, _ = models.columns(tmp_path_factory.mktemp("models") / "columns")
    with open(f"{path}/explanation_metadata.json", "w") as file:
        json.dump({"metadata": COLUMN_METADATA, "parameters": PARAMETERS}, file)
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path, *values):
    path.write_text("".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values))
    return str(path)


def test_each_line_gets_its_response(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(requests, "TOGETHER", 2)
    bad = INSTANCES[0] | {"numbers": [1.0]}
    given = written(
        tmp_path / "in.jsonl",
        {"instances": INSTANCES},
        INSTANCES[0],
        INSTANCES[1],
        bad,
        "",
        "{not json",
        {"instances": [bad, INSTANCES[1]]},
        {"instances": INSTANCES, "parameters": {"sampling": 3}},
        {"instances": []},
        INSTANCES[0],
        {"instances": [INSTANCES[0]], "deployedModelId": "columns", "signature_name": "serving_default"},
        {"instances": [INSTANCES[0]], "deployedModelId": "other"},
        {"instances": [INSTANCES[0]], "instance": 3},
    )
    out = tmp_path / "out.jsonl"
    assert main(["explain", model, given, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    found = lines(out)
    expected = ta.Attributor.from_explanation_metadata(model).explain(INSTANCES)
    assert found[0] == expected | {"deployedModelId": "columns"}
    first, second = ({key: value[i : i + 1] for key, value in found[0].items() if key != "deployedModelId"} for i in (0, 1))
    for one, same in ((found[1], first), (found[2], second), (found[8], first), (found[9], first)):
        assert one["predictions"] == [pytest.approx(same["predictions"][0])]
        assert (
            one["explanations"][0]["attributions"][0]["outputIndex"]
            == same["explanations"][0]["attributions"][0]["outputIndex"]
        )
    assert found[3]["predictions"] == [None]
    assert found[3]["explanations"][0]["error"].startswith("'numbers' must be of shape (3)")
    assert "line 6 is no JSON" in found[4]["error"]
    assert found[5]["explanations"][0]["error"].startswith("instance 0: ")
    assert found[5]["explanations"][1] == second["explanations"][0] or "attributions" in found[5]["explanations"][1]
    for i, word in ((6, "parameters"), (7, "at least one"), (10, "'other'"), (11, "'instance'")):
        assert word in found[i]["error"]
    assert "12 responses, 7 instances explained, 7 failed" in printed
    assert "note: inputs['table'] has no baseline: zeros" in printed


def test_other_files_a_tolerance_and_details(model, tmp_path, capsys):
    given, out = written(tmp_path / "in.jsonl", *INSTANCES), tmp_path / "out.jsonl"
    written(tmp_path / "metadata.json", COLUMN_METADATA)
    written(tmp_path / "parameters.json", {"sampledShapleyAttribution": {"pathCount": 3}})
    options = ["--metadata", str(tmp_path / "metadata.json"), "--parameters", str(tmp_path / "parameters.json")]
    assert main(["explain", model, given, "--out", str(out), *options, "--details"]) == 0
    (one,) = lines(out)[0]["explanations"][0]["attributions"]
    assert one["details"]["method"].startswith("ShapleySampling(")
    assert main(["explain", model, given, "--out", str(out), "--tolerance", "0.01", "--details", "--force"]) == 0
    (one,) = lines(out)[0]["explanations"][0]["attributions"]
    assert one["details"]["method"] == "IntegratedGradients(tolerance=0.01)"
    assert one["approximationError"] <= 0.01
    assert "step_count 20 is not used" in capsys.readouterr().out


def test_what_is_asked_wrongly_leaves_nothing_behind(model, tmp_path, capsys):
    good, out = written(tmp_path / "in.jsonl", *INSTANCES), tmp_path / "out.jsonl"
    for arguments, words in (
        (["explain", model, written(tmp_path / "empty.jsonl", "")], "no requests"),
        (["explain", model, written(tmp_path / "bad.jsonl", {"x": 1}, {"x": 2})], "nothing in"),
        (["explain", model, str(tmp_path / "none.jsonl")], "none.jsonl"),
        (["explain", model, good, "--metadata", str(tmp_path / "none.json")], "none.json"),
        (["explain", str(tmp_path / "no_model"), good], "no_model"),
        (["explain", model, good, "--tolerance", "2"], "tolerance"),
        (["explain", model, good, "--signature", "other"], "'other'"),
    ):
        assert main([*arguments, "--out", str(out)]) == 2
        assert words in capsys.readouterr().err
        assert not list(tmp_path.glob("*out.jsonl*"))
    out.write_text("mine")
    assert main(["explain", model, good, "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_text() == "mine"
