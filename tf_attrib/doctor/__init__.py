"""Whether an attribution is to be believed: checks of model, baseline, output and integral, in numbers with the remedy."""
