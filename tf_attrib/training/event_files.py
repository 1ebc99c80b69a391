"""TensorBoard's event files, written without the tensorboard package: scalars, pictures, texts.

`tf.summary.scalar`, `image` and `text` need that package; `tf.summary.write` with the plugin's name in the metadata does not.
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def writing(writer: tf.summary.SummaryWriter) -> Iterator[None]:
    """While the context lasts, everything goes to `writer`, whatever other callbacks have set up; then it is on disk."""
    with tf.summary.record_if(True), writer.as_default():
        yield
    writer.flush()


def scalar(tag: str, value: float, step: int, description: str = "") -> None:
    """One number."""
    tf.summary.write(tag, tf.constant(value, tf.float32), step, _metadata("scalars", description))


def picture(tag: str, png: bytes, size: tuple[int, int], step: int, description: str = "") -> None:
    """One picture.

    Args:
        png: as a file holds it.
        size: width and height in pixels.
    """
    value = tf.constant([str(size[0]).encode(), str(size[1]).encode(), png])
    tf.summary.write(tag, value, step, _metadata("images", description))


def text(tag: str, markdown: str, step: int, description: str = "") -> None:
    """One text, in Markdown."""
    tf.summary.write(tag, tf.constant(markdown), step, _metadata("text", description))


def _metadata(plugin: str, description: str) -> tf.compat.v1.SummaryMetadata:
    # the content that each of these plugins writes is an empty message: version 0 of its format
    found = tf.compat.v1.SummaryMetadata(summary_description=description)
    found.plugin_data.plugin_name = plugin
    return found
