"""Apache Beam, or the command that installs it."""

from ..common.errors import missing_extra

try:
    import apache_beam  # noqa: F401 -- for the modules beside this one
    from apache_beam.ml.inference import base  # noqa: F401
except ImportError:
    raise missing_extra("apache-beam", "beam", "tf_attrib.beam") from None
