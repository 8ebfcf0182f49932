"""What a stream would take, found on samples of the clip: for a goal, for advice, for comparison."""
