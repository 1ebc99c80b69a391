"""Plots: saturation, strips, signals, tables; and that drawing touches no global state."""

import ast
import io
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from tf_attrib import view
from tf_attrib.attribution import Attribution
from tf_attrib.common.errors import AttributionError
from tf_attrib.view import colour, draw, gradient_strip, running_sum, saturation, scaled_inputs, show, strips
from tf_attrib.view.plots import shortened

RNG = np.random.default_rng(0)


def logistic_path(n_steps=41, size=4):
    """Interior gradients of 1 / (1 + exp(-sum w x)) on the way from 0 to x, in closed form."""
    weights, image = RNG.normal(size=(size, size, 1)) + 0.5, RNG.random((size, size, 1))
    alphas = np.linspace(0, 1, n_steps)
    scores = 1 / (1 + np.exp(-12 * alphas * (weights * image).sum() / np.abs((weights * image).sum())))
    slope = scores * (1 - scores)
    gradients = slope[:, None, None, None] * weights * 12 / np.abs((weights * image).sum())
    return Attribution(
        gradients[None],
        scores[-1:],
        inputs=image[None],
        baseline_scores=scores[:1],
        alphas=alphas[None],
        steps=True,
        path_scores=scores[None],
        path_gradients=(slope * 12)[None],
        target=np.array([3]),
        unit="probability",
        method="InteriorGradients(n_steps=41)",
    )


def caption(figure):
    return " ".join(figure.caption.split())


def test_saturation_draws_score_and_gradient_on_two_labelled_axes():
    result = logistic_path()
    left, right = saturation(result).subfigs[0].axes
    np.testing.assert_allclose(left.lines[0].get_xydata(), np.stack([result.alphas[0], result.path_scores[0]], -1))
    np.testing.assert_allclose(right.lines[0].get_ydata(), np.abs(result.attributions[0]).mean((1, 2, 3)))
    assert "score (probability)" in left.get_ylabel()
    assert "|gradient|" in right.get_ylabel()
    assert left.get_xlabel().startswith("alpha")


def test_saturation_states_how_much_weaker_the_gradient_is_at_the_input():
    result = logistic_path()
    sizes = np.abs(result.attributions[0]).mean((1, 2, 3))
    found = re.search(r"largest at alpha 0, ([\d,]+) times that at alpha 1\.", caption(saturation(result)))
    assert float(found[1].replace(",", "")) == pytest.approx(sizes.max() / sizes[-1], rel=0.05)
    assert "sum of attributions" not in caption(saturation(result))


def test_saturation_without_a_path_is_refused():
    with pytest.raises(AttributionError, match="interior_gradients"):
        saturation(Attribution(np.ones((1, 3)), np.ones(1)))


def test_scaled_inputs_run_from_baseline_to_input_in_one_range():
    image = np.array([[0.0, 4.0], [8.0, 16.0]])
    pictures, sentences = scaled_inputs(image, 0.0, [0, 0.5, 1])
    np.testing.assert_allclose(pictures[0].pixels, 0)
    np.testing.assert_allclose(pictures[1].pixels[..., 0], image / 32)
    np.testing.assert_allclose(pictures[2].pixels[..., 0], image / 16)
    assert sentences == ["The image is drawn from 0 (black) to 16 (white)."]
    pictures, _ = scaled_inputs(image, image[::-1], [0, 0.25])
    np.testing.assert_allclose(pictures[1].pixels[..., 0], (0.75 * image[::-1] + 0.25 * image) / 16)
    with pytest.raises(AttributionError, match=r"\(2, 2\).*\(3,\)"):
        scaled_inputs(image, np.zeros(3), [0, 1])


def test_strips_on_their_own_scales_say_so_and_by_how_much():
    gradients = np.stack([np.eye(3), np.eye(3) / 10, -np.eye(3) / 4000])[..., None]
    own, sentences = gradient_strip(gradients, "each", "logit")
    assert [picture.limit for picture in own] == pytest.approx([1, 0.1, 1 / 4000])
    np.testing.assert_allclose(own[2].pixels[0, 0], to_rgb(colour.RED))
    assert "each on its own scale" in sentences[0]
    assert "the last is 4,000 times weaker than the first" in sentences[0]


def test_strips_on_one_scale_fade():
    gradients = np.stack([np.eye(3), np.eye(3) / 10, np.eye(3) / 4000])
    common, sentences = gradient_strip(gradients, "common", "logit")
    assert [picture.limit for picture in common] == [1, 1, 1]
    np.testing.assert_allclose(common[2].pixels[0, 0], to_rgb(colour.GRAY), atol=0.01)
    assert "all on one scale, full colour at ±1 logit; 1 of 3 nowhere reach 5% of that" in sentences[0]
    with pytest.raises(AttributionError, match="'common'"):
        gradient_strip(gradients, "comon")


def test_running_sum_ends_at_the_integrated_gradients():
    result = logistic_path(n_steps=401)
    sums = running_sum(result.attributions[0], result.alphas[0], result.inputs[0])
    assert (sums[0] == 0).all()
    assert sums[-1].sum() == pytest.approx(result.scores[0] - result.baseline_scores[0], abs=1e-4)


def test_strips_figure_has_every_row_and_tells_the_steps_left_out():
    figure = strips(logistic_path(), baseline=0.0, columns=5)
    titles = [part.get_suptitle().split("\n")[-1] for part in figure.subfigs]
    assert titles[0] == "scaled inputs"
    assert titles[1] == "interior gradients, each on its own scale"
    assert titles[2] == "the same on one scale"
    assert titles[3].startswith("running sum of the interior gradients, times (input - baseline)")
    assert "5 of 41 steps are drawn; the sum is over all." in caption(figure)
    assert figure.subfigs[0].axes[-1].get_title() == "alpha 1"
    assert len(show(logistic_path(), 0).subfigs) == 3


def test_interior_gradients_of_words_are_a_map():
    result = Attribution(
        RNG.normal(size=(1, 6, 9, 5)),
        np.ones(1),
        inputs=np.ones((1, 9), int),
        unit="logit",
        alphas=np.linspace(0, 1, 6)[None],
        steps=True,
        method="interior_gradients",
    )
    figure = show(result)
    assert figure.subfigs[0].axes[0].images[0].get_array().shape == (6, 9, 3)
    assert "5 values of each feature" in caption(figure)


# signals


def signal(channels=2):
    values = np.zeros((1, 50, channels))
    values[0, 10, 0], values[0, 20, 1] = 0.5, -1.0
    return Attribution(
        values, np.array([2.0]), inputs=RNG.normal(size=(1, 50, channels)), unit="raw", method="integrated_gradients"
    )


def bars_of(axes):
    return [np.array([path.vertices[1, 1] for path in bars.get_paths()]) for bars in axes.collections]


def ticks(axis):
    return {label.get_text(): float(place) for label, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)}


def test_signals_have_bars_of_their_attribution_beneath():
    axes = show(signal()).subfigs[0].axes
    assert len(axes) == 4
    np.testing.assert_allclose(bars_of(axes[3])[0], signal().attributions[0, :, 1])
    np.testing.assert_allclose(axes[3].collections[0].get_colors()[20][:3], to_rgb(colour.RED))
    # one scale for all channels
    assert axes[1].get_ylim() == axes[3].get_ylim()


def test_signals_as_a_coloured_line():
    axes = show(signal(), style="line", names=["ecg", "$b$"]).subfigs[0].axes
    np.testing.assert_allclose(axes[1].collections[0].get_colors()[20][:3], to_rgb(colour.RED))
    np.testing.assert_allclose(axes[0].collections[0].get_colors()[10][:3], colour.DIVERGING(0.75)[:3])
    np.testing.assert_allclose(axes[0].collections[0].get_colors()[0][:3], to_rgb(colour.GRAY))
    assert axes[1].get_ylabel() == "$b$"


def test_many_channels_are_cut_to_the_strongest_and_it_is_said():
    figure = show(Attribution(np.tile(np.arange(1.0, 11), (1, 60, 1)), np.ones(1)))
    assert [axes.get_ylabel() for axes in figure.subfigs[0].axes] == [f"channel {channel}" for channel in range(4, 10)]
    assert "The 6 strongest of 10 channels; the others carry 18% of the attribution" in caption(figure)
    with pytest.raises(AttributionError, match="1 names for 2 channels"):
        show(signal(), names=["a"])


def test_long_signals_have_bars_for_groups_of_steps_with_the_signs_apart():
    result = Attribution(values := RNG.normal(size=(1, 1234, 2)), np.ones(1), inputs=values, unit="logit")
    raised, lowered = bars_of((part := show(result).subfigs[0]).axes[3])
    assert len(raised) == len(lowered) == 412  # groups of 3, the last one of 1
    np.testing.assert_allclose(raised[0], np.maximum(values[0, :3, 1], 0).sum())
    assert raised.sum() + lowered.sum() == pytest.approx(values[0, :, 1].sum())
    assert part.get_supylabel() == "bars: attribution (logit),\nsums over 3 steps"
    assert show(Attribution(np.full((1, 900, 1), 0.1), np.ones(1))).subfigs[0].axes[0].get_ylim()[1] == pytest.approx(0.216)
    line = show(result, style="line").subfigs[0].axes
    assert line[-1].get_ylabel() == "attribution (logit,\nsums over 3 steps)"
    assert np.ptp(line[1].collections[0].get_colors()[3:6], axis=0).max() == 0


def test_waveforms_without_an_axis_of_channels_are_signals_where_asked_for():
    result = Attribution((waves := RNG.normal(size=(2, 50))) / 10, np.ones(2), inputs=waves)
    axes = show(result, 1, kind="signal").subfigs[0].axes
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), waves[1])
    np.testing.assert_allclose(bars_of(axes[1])[0], waves[1] / 10)
    ids = Attribution(RNG.normal(size=(1, 9, 2)), np.ones(1), inputs=np.ones((1, 9), int))
    assert [len(axes.lines) for axes in show(ids, kind="signal").subfigs[0].axes] == [1, 1]  # zero: ids are no signal


@pytest.mark.parametrize("style", ["bars", "line"])
def test_signals_are_drawn_over_time(style):
    for times, unit, label, place in ((3 + np.arange(50) / 25, "s", "4", 25), (np.arange(50.0) ** 2, "days", "2000", 44.72)):
        axes = show(signal(), style=style, times=times, time_unit=unit).subfigs[0].axes
        (bottom,) = [row for row in axes if row.get_xlabel()]
        assert bottom.get_xlabel() == f"time ({unit})"
        assert ticks(bottom.xaxis)[label] == pytest.approx(place, abs=0.01)


@pytest.mark.parametrize("extra", [(), (1,)])
def test_spectrograms_have_time_to_the_right_and_frequency_upwards(extra):
    values = np.zeros((1, 30, 9, *extra))
    values[0, 20, 2] = 1.0
    result = Attribution(values, np.ones(1), inputs=values - 0.5)
    figure = show(result, kind="spectrogram", times=np.arange(30) / 10, frequencies=np.arange(9) * 100, outlined=0.5)
    axes = [axes for axes in figure.subfigs[0].axes if axes.images]
    assert [part.get_title() for part in axes] == ["spectrogram", "attribution over the spectrogram", "attribution alone"]
    for part in axes:  # row 0, the lowest frequency, is at the bottom
        assert (part.get_ylim(), part.get_xlabel()) == ((-0.5, 8.5), "time (s)")
    assert np.unravel_index(axes[0].images[0].get_array()[..., 0].argmax(), (9, 30)) == (2, 20)
    np.testing.assert_allclose(axes[2].images[0].get_array()[2, 20], to_rgb(colour.GREEN))
    corners = np.concatenate(axes[2].collections[0].get_segments())
    assert [*corners.min(0), *corners.max(0)] == [19.5, 1.5, 20.5, 2.5]
    assert (ticks(axes[0].yaxis)["800"], ticks(axes[2].xaxis)["2"], axes[0].get_ylabel()) == (8, 20, "frequency (Hz)")
    assert "image" not in caption(figure)


def test_spectrograms_without_scales_or_inputs_count_steps_and_bins():
    axes = show(Attribution(np.ones((1, 30, 9)), np.ones(1)), kind="spectrogram").subfigs[0].axes
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("time step", "frequency bin")
    # a layer's coarser map over the spectrogram: each picture's ticks lie where its own cells do
    coarse = Attribution(np.ones((1, 15, 4)), np.ones(1), inputs=np.ones((1, 30, 8, 1)))
    axes = show(coarse, kind="spectrogram", times=np.arange(30)).subfigs[0].axes
    assert [ticks(part.xaxis)["25"] for part in axes if part.images] == pytest.approx([25, 25, 12.25])


def test_scales_must_fit_the_data():
    upright = {"kind": "spectrogram"}
    for result, message, options in (
        (signal(), "49 times for 50 steps", {"times": np.arange(49)}),
        (signal(), "must increase", {"times": np.zeros(50)}),
        (signal(), "unit of times=", {"time_unit": "days"}),
        (signal(), "frequencies= means nothing for kind signal", {"frequencies": np.arange(50)}),
        (Attribution(np.ones((1, 8, 9)), np.ones(1)), "8 freq.* for 9 bins", upright | {"frequencies": np.arange(8)}),
        (Attribution(np.ones((1, 8, 8, 3)), np.ones(1)), "as kind='spectrogram'", upright),
    ):
        with pytest.raises(AttributionError, match=message):
            show(result, **options)


# tables


def table():
    return Attribution(
        np.array([[0.1, -0.6, 0.3, 0.0]]),
        np.array([0.8]),
        inputs=np.array([[1.0, 2.0, 3.0, 4.0]]),
        unit="logit",
        baseline_scores=np.array([1.0]),
        gap=np.array([0.0]),
        method="integrated_gradients",
    )


def test_tables_show_the_strongest_first_with_value_and_share():
    figure = show(table(), k=2, names=["age", "$pay", "<b>", "x"])
    axes = figure.subfigs[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$pay = 2", "<b> = 3"]
    assert [bar.get_width() for bar in axes.patches] == [-0.6, 0.3]
    np.testing.assert_allclose(axes.patches[0].get_facecolor()[:3], to_rgb(colour.RED))
    np.testing.assert_allclose(axes.patches[1].get_facecolor()[:3], to_rgb(colour.GREEN))
    assert "The 2 strongest of 4 features; the others carry 10% of the attribution" in caption(figure)


def test_html_table_of_features_is_escaped_and_sorted():
    html = view.features_html(table(), k=3, names=["age", "pay", "<script>", "x"])
    assert re.findall(r'left;padding:[^"]*">(?!feature)([^<]*)<', html) == ["pay", "&lt;script&gt;", "age"]
    assert re.findall(r">([-+]0\.\d+)<", html) == ["-0.6", "+0.3", "+0.1"]
    assert ">60%<" in html
    assert "<script" not in html


def test_several_tables_are_ranked_together():
    result = Attribution({"age": np.array([[0.1]]), "pay": np.array([[0.4, -0.5]])}, np.ones(1))
    figure = show(result)
    labels = [label.get_text() for label in figure.subfigs[0].axes[0].get_yticklabels()]
    assert labels == ["pay[1]", "pay", "age"]


@pytest.mark.parametrize(("kind", "said"), [("contribution", True), ("map", False), ("effect", False), ("expectation", False)])
def test_what_is_no_part_of_the_score_has_no_sum(kind, said):
    result = Attribution(np.full((1, 8, 8), 0.5), np.ones(1), inputs=np.zeros((1, 8, 8, 1)), kind=kind)
    assert ("sum of attributions 32" in caption(show(result, kind="map"))) is said


def test_image_and_table_have_a_part_each_with_its_share():
    result = Attribution(
        {"scan": np.full((1, 8, 8, 1), 0.01), "age": np.array([[-0.36]])},
        np.ones(1),
        inputs={"scan": np.zeros((1, 8, 8, 1)), "age": np.array([[40.0]])},
    )
    figure = show(result)
    assert len(figure.subfigs) == 2
    assert "This part sums to 0.64 and has 64% of the attribution by magnitude." in caption(figure)
    assert "This part sums to -0.36 and has 36% of the attribution by magnitude." in caption(figure)
    assert "sum of attributions 0.28; unit: raw." in caption(figure)
    assert caption(figure).count("sum of attributions") == 1


def test_names_must_be_as_many_as_features():
    with pytest.raises(AttributionError, match="2 names for 4 features"):
        show(table(), names=["a", "b"])
    with pytest.raises(AttributionError, match="at least 1"):
        show(table(), k=0)


# no global state


def test_drawing_changes_no_matplotlib_settings_and_fits_its_figure():
    before = dict(matplotlib.rcParams)
    figure = show(table())
    figure._repr_png_()
    assert dict(matplotlib.rcParams) == before
    renderer = figure.canvas.get_renderer()
    for part in figure.subfigs:
        for text in (part._suptitle, part._supxlabel):
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.width


def test_dollar_signs_are_no_formulas():
    formula = r"$\frac$"  # would raise if it were taken for one
    result = Attribution({formula: np.ones((1, 60, 2)), "age": np.ones((1, 1))}, np.ones(1), unit="raw " + formula)
    show(result, names=None)._repr_png_()
    assert formula in show(result).subfigs[0].get_suptitle()
    show(table(), names=[formula, "a", "b", "c"])._repr_png_()


def test_one_figure_gives_one_file():
    assert view.png(show(table())) == view.png(show(table()))


def test_view_imports_no_tensorflow_no_pyplot_and_little_of_this_library():
    allowed = {
        "common.atomic",
        "common.checks",
        "common.digits",
        "common.errors",
        "common.nested",
        "common.tokens",
        "common.types",
        "result",
        "result.adding_up",
        "result.channels",
        "result.columns",
        "result.regions",
        "result.result",
        "result.words",
    }
    for path in Path(view.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
                if node.level == 2:
                    assert node.module in allowed, f"{path.name} imports {node.module}"
            else:
                continue
            assert not any("pyplot" in name or name.split(".")[0] in ("tensorflow", "keras") for name in names), path.name


def test_names_beside_axes_are_one_line_and_turn_nothing_round():
    assert shortened("a\nb\t\u202ec") == "a·b··c"
    assert shortened("x" * 60) == "x" * 45 + "..."


@pytest.mark.parametrize("dpi", [72, 80, 95, 100])
def test_a_caption_is_within_the_figure_at_any_resolution(dpi):
    """Letters are rounded to whole pixels: at 80 dots per inch the ends of its lines were cut off."""
    figure = draw.drawing(9, 1.5)
    text = (
        "Light green raises the score, dark red lowers it; full colour at ±0.00138 probability, zero is gray. The 3 channels "
        "are summed, with their signs. Score 0.965, baseline score 0.988, sum of attributions -0.0234, gap <0.01% of it."
    )
    draw.set_caption(figure, [text] * 2)
    figure.savefig(buffer := io.BytesIO(), dpi=dpi)
    pixels = np.asarray(Image.open(buffer).convert("L"))
    assert (pixels < 128).any()
    assert pixels[:, -2:].min() > 250
    assert figure._supxlabel.get_fontsize() == draw.CAPTION_SIZE
