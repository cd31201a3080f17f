"""What the service costs, as ratios."""
