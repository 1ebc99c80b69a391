"""Methods that evaluate coalitions: the score of an example of which some players are there and others are the baseline's."""
