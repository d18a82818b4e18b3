"""The bot: its stories, its edges and the one place where they are joined."""
