"""Slack, in its own words and in ours."""
