"""Hostile folders of SavedModels: each writes one into a folder and returns its path. (`canary` is as in `hostile`.)"""

import os
from pathlib import Path

import tensorflow as tf

from . import exports


def pipe_in_export(folder, canary):
    (folder / "export").mkdir()
    os.mkfifo(folder / "export" / "saved_model.pb")
    return folder / "export"


def writes_at_load(folder, canary):
    return Path(exports.v1_model(folder / "v1", canary / "ran"))


def loop_at_load(folder, canary):
    """TensorFlow 1: what is run when it is loaded counts for longer than anyone waits."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None,), name="x")
        count = tf.while_loop(lambda i: i < 10**9, lambda i: i + 1, [tf.constant(0)])
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": x + 1.0})
        builder = v1.saved_model.Builder(str(folder / "loop"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=tf.group(count))
        builder.save()
    return folder / "loop"


def table_elsewhere(folder, canary):
    path = exports.v1_file_table(folder / "table", folder / "words.txt")
    exports.change_asset(path, filename=os.path.relpath(canary / "secret.txt", f"{path}/assets"))
    return Path(path)


def table_by_link(folder, canary):
    path = Path(exports.v1_file_table(folder / "table", folder / "words.txt"))
    (asset,) = (path / "assets").iterdir()
    asset.unlink()
    asset.symlink_to(canary / "secret.txt")
    return path


def large_constant(folder, canary):
    made = exports.new_graph()
    constant = exports.add_node(made, "huge", "Const", dtype=1)
    constant.attr["value"].tensor.dtype = 1
    constant.attr["value"].tensor.tensor_shape.dim.add(size=10**12)
    constant.attr["value"].tensor.float_val.append(1.0)
    exports.add_node(made, "sum", "Sum", ["huge", "zero"], T=1, Tidx=3)
    zero = exports.add_node(made, "zero", "Const", dtype=3)
    zero.attr["value"].tensor.dtype = 3
    zero.attr["value"].tensor.tensor_shape.SetInParent()
    exports.add_node(made, "out", "AddV2", ["x", "sum"], T=1)
    return Path(exports.write(folder / "export", made))


FILES = {
    "pipe in an export": pipe_in_export,
    "file written by an export": writes_at_load,
    "table elsewhere": table_elsewhere,
    "table by a link": table_by_link,
    "loop at load": loop_at_load,
    "large constant": large_constant,
}
