"""Many families of small nets on which integrated gradients to a stated accuracy are judged: see `report`."""
