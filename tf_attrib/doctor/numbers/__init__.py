"""Numbers that were computed elsewhere, held to the axioms: `check_attributions`."""
