"""An invented person's posts: Millz, retired ferry purser, keeper of a launderette, at war with a gull."""
