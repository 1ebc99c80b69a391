"""Models as graphs: as data, as what runs, and as files that are read and not run."""
