"""Files that would run code, touch other files or exhaust the machine: each writes one into a folder and returns its path.

`canary` is a folder with `secret.txt` in it: whatever becomes of that folder, or is known of the secret, shows that a file ran.
"""

import base64
import json
import marshal
import os
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import tf_keras

from . import hostile_exports

SECRET = "xyzzy-the-secret"


def base(library, path):
    """A small model file."""
    layers = library.layers
    entry = library.Input((4,), name="i")
    model = library.Model(entry, layers.Dense(2, activation="softmax", name="h")(layers.Dense(4, name="d")(entry)))
    model.save(path)
    return path


def edit_h5(path, edit):
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config).encode()
    return path


def edit_zip(path, edit=lambda layers: None, more=(), without=(), whole=lambda config: None):
    """Rewrites an archive: its configuration edited, in its layers or as a whole, members more or fewer."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist() if name not in without}
    config = json.loads(members["config.json"])
    edit(config["config"]["layers"])
    whole(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as target:
        for name, data in [*members.items(), *more]:
            target.writestr(name, data, zipfile.ZIP_DEFLATED if len(data) > 10**6 else zipfile.ZIP_STORED)
    return path


def edit_weights(folder, edit):
    """A `.keras` file of Keras 3 whose inner HDF5 file was edited."""
    path = base(keras, folder / "m.keras")
    inside = folder / "w.h5"
    with zipfile.ZipFile(path) as source:
        inside.write_bytes(source.read("model.weights.h5"))
    with h5py.File(inside, "r+") as file:
        edit(file)
    return edit_zip(path, more=[("model.weights.h5", inside.read_bytes())], without=["model.weights.h5"])


def call(function, argument, **options):
    """Adds a layer that calls a function of TensorFlow with constants."""

    def edit(layers):
        layer = {
            "class_name": "TFOpLambda",
            "name": "op",
            "inbound_nodes": [["_CONSTANT_VALUE", -1, argument, options]],
            "config": {"name": "op", "trainable": False, "dtype": "float32", "function": function},
        }
        layers.append(layer | {"module": "tf_keras.src.layers.core.tf_op_layer", "registered_name": "TFOpLambda"})

    return edit


def python(path):
    """The configuration of a Lambda layer that writes a file when it is called."""
    code = compile(f"lambda x: (open({str(path)!r}, 'w').close(), x)[1]", "<file>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


def with_lambda(path):
    """Adds a Lambda layer as tf_keras writes one."""

    def edit(layers):
        code = python(path)
        layers.append(
            {
                "class_name": "Lambda",
                "name": "run",
                "module": "keras.layers",
                "registered_name": None,
                "inbound_nodes": [[["d", 0, 0, {}]]],
                "config": {
                    "name": "run",
                    "trainable": True,
                    "dtype": "float32",
                    "function_type": "lambda",
                    "function": [code, None, None],
                    "module": "builtins",
                    "output_shape_type": "raw",
                    "output_shape": None,
                    "output_shape_module": None,
                    "arguments": {},
                },
            }
        )

    return edit


def with_lambda_of_keras(path):
    """The same as Keras 3 writes one."""

    def edit(layers):
        before = next(layer for layer in layers if layer["name"] == "h")["inbound_nodes"]
        layers.append(
            {
                "class_name": "Lambda",
                "name": "run",
                "module": "keras.layers",
                "registered_name": None,
                "inbound_nodes": before,
                "config": {
                    "name": "run",
                    "trainable": True,
                    "dtype": "float32",
                    "arguments": {},
                    "output_shape": None,
                    "function": {
                        "class_name": "__lambda__",
                        "config": {"code": python(path), "defaults": None, "closure": None},
                    },
                },
            }
        )

    return edit


def with_option(number, **options):
    def edit(layers):
        layers[number]["config"].update(options)
        layers[number].pop("build_config", None)

    return edit


def lookup(library, layer, folder, canary):
    """A file of words that is outside of the model."""
    dtype = "int64" if layer == "IntegerLookup" else "string"
    words = [1, 2] if layer == "IntegerLookup" else ["a", "b"]
    entry = library.Input((1,), dtype=dtype, name="i")
    model = library.Model(entry, getattr(library.layers, layer)(vocabulary=words, name="words")(entry))
    path = folder / "m.keras"
    model.save(path)
    (canary / "numbers.txt").write_text("71\n72\n")
    file = canary / ("numbers.txt" if layer == "IntegerLookup" else "secret.txt")
    return edit_zip(path, with_option(1, vocabulary=str(file)))


def polyglot(folder, canary):
    """HDF5 with a Lambda layer, and a harmless archive behind it."""
    path = edit_h5(base(tf_keras, folder / "m.h5"), with_lambda(canary / "ran"))
    harmless = base(tf_keras, folder / "n.keras")
    path.write_bytes(path.read_bytes() + harmless.read_bytes())
    return path


def polyglot_zip(folder, canary):
    """The same under the other name."""
    polyglot(folder, canary).rename(folder / "p.keras")
    return folder / "p.keras"


def two_configurations(folder, canary):
    """A harmless configuration, and one with a Lambda layer under the same name."""
    other = edit_zip(base(tf_keras, folder / "n.keras"), with_lambda(canary / "ran"))
    return edit_zip(base(tf_keras, folder / "m.keras"), more=[("config.json", zipfile.ZipFile(other).read("config.json"))])


def imported(folder, canary):
    """A class of a module whose import writes a file."""
    (canary.parent / "modules").mkdir(exist_ok=True)
    (canary.parent / "modules" / "imported_by_a_file.py").write_text(f"open({str(canary / 'ran')!r}, 'w').close()\n")
    return edit_zip(base(tf_keras, folder / "m.keras"), whole=lambda config: config.update(module="imported_by_a_file"))


def replaced_kernel(folder, make):
    """A `.keras` file of Keras 3 in whose weights a kernel of shape (4, 4) is what `make(group, name)` puts there."""

    def edit(file):
        group = file["layers/dense/vars"]
        del group["0"]
        make(group, "0")

    return edit_weights(folder, edit)


def secret_weights(canary):
    """An HDF5 file outside of the model with the secret's letters as numbers."""
    with h5py.File(canary / "other.h5", "w") as file:
        file["w"] = np.frombuffer(SECRET.encode(), "uint8").reshape(4, 4).astype("float32")
    return str(canary / "other.h5")


def external_link(folder, canary):
    other = secret_weights(canary)
    return replaced_kernel(folder, lambda group, name: group.__setitem__(name, h5py.ExternalLink(other, "w")))


def external_storage(folder, canary):
    return replaced_kernel(
        folder, lambda group, name: group.create_dataset(name, (4, 4), "uint8", external=[(str(canary / "secret.txt"), 0, 16)])
    )


def virtual(folder, canary):
    layout = h5py.VirtualLayout((4, 4), "float32")
    layout[:] = h5py.VirtualSource(secret_weights(canary), "w", (4, 4))
    return replaced_kernel(folder, lambda group, name: group.create_virtual_dataset(name, layout))


def never_written(folder, canary):
    def edit(file):
        file.create_dataset("huge", (10**11,), "float32")

    return edit_weights(folder, edit)


def link_member(folder, canary):
    path = base(keras, folder / "m.keras")
    member = zipfile.ZipInfo("assets/words.txt")
    member.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, str(canary / "secret.txt"))
    return path


def bomb(path):
    """Gives an archive a configuration that is small in it and large in memory."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data + b" " * 2 * 10**8 if name == "config.json" else data)
    return path


def nested(folder, canary, depth=60):
    """A model that calls an inner one twice, that one its own twice, and so on: small to write, too much to build."""
    path = base(keras, folder / "m.keras")
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    dense = next(layer for layer in config["config"]["layers"] if layer["name"] == "d")
    inner = {key: value for key, value in dense.items() if key not in ("inbound_nodes", "name")} | {"shared_object_id": 1}
    for number in range(depth):
        again = {**inner, "config": {}}
        inner = {
            "module": "keras",
            "class_name": "Sequential",
            "registered_name": None,
            "shared_object_id": number + 2,
            "config": {"name": f"s{number}", "layers": [inner, again]},
            "build_config": {"input_shape": [None, 4]},
        }
    return edit_zip(path, lambda layers: layers.append(inner | {"name": "deep", "inbound_nodes": dense["inbound_nodes"]}))


def pipe(name):
    def make(folder, canary):
        os.mkfifo(folder / name)
        return folder / name

    return make


def device(name):
    def make(folder, canary):
        (folder / name).symlink_to("/dev/zero")
        return folder / name

    return make


def pickled(folder, canary):
    class Runs:
        def __reduce__(self):
            return Path.touch, (canary / "ran",)

    np.savez(folder / "r.npz", header=np.array([Runs()], dtype=object))
    return folder / "r.npz"


def large_array(folder, canary):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000,), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(folder / "r.npz", "w") as archive:
        archive.writestr("header.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return folder / "r.npz"


def files():
    """The hostile files by name."""

    def h5(folder):
        return base(tf_keras, folder / "m.h5")

    def whole(folder):
        return base(tf_keras, folder / "m.keras")

    def of_keras(folder):
        return base(keras, folder / "m.keras")

    def copies(canary):
        return call("io.gfile.copy", str(canary / "secret.txt"), dst=str(canary / "ran"))

    return {
        "copy in .h5": lambda folder, canary: edit_h5(h5(folder), copies(canary)),
        "copy in .keras": lambda folder, canary: edit_zip(whole(folder), copies(canary)),
        "remove": lambda folder, canary: edit_h5(h5(folder), call("io.gfile.remove", str(canary / "secret.txt"))),
        "make a folder": lambda folder, canary: edit_h5(h5(folder), call("io.gfile.mkdir", str(canary / "ran"))),
        "write": lambda folder, canary: edit_h5(h5(folder), call("io.write_file", str(canary / "ran"), contents="x")),
        "print to a file": lambda folder, canary: edit_h5(
            h5(folder), call("print", "x", output_stream=f"file://{canary / 'ran'}")
        ),
        "constants": lambda folder, canary: edit_h5(h5(folder), call("zeros", [10**11])),
        "HDF5 and zip": polyglot,
        "HDF5 and zip, called .keras": polyglot_zip,
        "Lambda of tf_keras in .h5": lambda folder, canary: edit_h5(h5(folder), with_lambda(canary / "ran")),
        "Lambda of tf_keras in .keras": lambda folder, canary: edit_zip(whole(folder), with_lambda(canary / "ran")),
        "Lambda of Keras 3": lambda folder, canary: edit_zip(of_keras(folder), with_lambda_of_keras(canary / "ran")),
        "module": imported,
        "StringLookup": lambda folder, canary: lookup(keras, "StringLookup", folder, canary),
        "StringLookup of tf_keras": lambda folder, canary: lookup(tf_keras, "StringLookup", folder, canary),
        "IntegerLookup of tf_keras": lambda folder, canary: lookup(tf_keras, "IntegerLookup", folder, canary),
        "TextVectorization": lambda folder, canary: lookup(keras, "TextVectorization", folder, canary),
        "two configurations": two_configurations,
        "member outside": lambda folder, canary: edit_zip(of_keras(folder), more=[("assets/../../ran", b"x")]),
        "absolute member": lambda folder, canary: edit_zip(of_keras(folder), more=[(str(canary / "ran"), b"x")]),
        "member that is a link": link_member,
        "weights by a link": external_link,
        "weights in another file": external_storage,
        "virtual weights": virtual,
        "weights never written": never_written,
        "configuration of 200 MB": lambda folder, canary: bomb(of_keras(folder)),
        "300 million units": lambda folder, canary: edit_zip(of_keras(folder), with_option(1, units=3 * 10**8)),
        "300 million units of tf_keras": lambda folder, canary: edit_h5(h5(folder), with_option(1, units=3 * 10**8)),
        "nested calls": nested,
        "pipe.keras": pipe("m.keras"),
        "pipe.h5": pipe("m.h5"),
        "pipe.pb": pipe("m.pb"),
        "device.keras": device("m.keras"),
        "device.h5": device("m.h5"),
        "device.pb": device("m.pb"),
        "pipe.npz": pipe("r.npz"),
        "device.npz": device("r.npz"),
        "pickle": pickled,
        "large array": large_array,
    } | hostile_exports.FILES
