"""Speed and cost against other libraries, as ratios within one run."""
