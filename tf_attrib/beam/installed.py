"""Apache Beam, or the command that installs it."""

from ..common.errors import missing_extra

# pyright runs where Beam is not installed
try:
    import apache_beam  # noqa: F401 # pyright: ignore[reportMissingImports] (of an extra)
    from apache_beam.ml.inference import base  # noqa: F401 # pyright: ignore[reportMissingImports] (of an extra)
except ImportError:
    raise missing_extra("apache-beam", "beam", "tf_attrib.beam") from None
