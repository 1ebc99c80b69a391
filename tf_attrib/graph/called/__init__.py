"""A model that is called and not traced: its run as operations of a graph, which differentiate by `tf.GradientTape`."""
