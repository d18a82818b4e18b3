"""Every error that the bot raises itself, and who is told of it.

MillzbotError
├── SettingError     the installer: one line on stderr, exit 1
├── StartError       the installer: one line on stderr, exit 1
├── Busy             the asker: come back in so many seconds
├── GenerationError  the asker: nothing came of it; the admins: the log has the reason
├── NotPosted        the admins: Slack refused the message for good
└── Unsure           the asker and the admins: nobody can know whether the message stands
"""


class MillzbotError(Exception):
    """Something that a person can act on; its text is a sentence that says how."""


class SettingError(MillzbotError):
    """A setting's value cannot be used."""


class StartError(MillzbotError):
    """The bot cannot start with what it was given."""


class Busy(MillzbotError):  # noqa: N818 - the asker's state, not a fault
    """More is being asked than can be answered at once."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"Too many people are asking. Try again in about {wait_seconds:.0f} s.")
        self.wait_seconds = wait_seconds


class GenerationError(MillzbotError):
    """The model could not write."""


class NotPosted(MillzbotError):  # noqa: N818 - an outcome of posting
    """Slack has refused a message, and would refuse it again."""


class Unsure(MillzbotError):  # noqa: N818 - an outcome of posting
    """A message went out and no answer came back: it may stand or not."""
