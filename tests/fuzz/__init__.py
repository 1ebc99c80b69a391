"""Random small Keras nets, and what must hold of every one of them: `python -m tests.fuzz --nets 1000`."""
