"""From posts to a checkpoint."""
