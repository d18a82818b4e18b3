"""The tokens of one sandbox: new at every start, and shown nowhere."""

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tokens:
    """What opens the Web API to the bot, Socket Mode to the app, and the sandbox to its own page."""

    bot: str = field(
        default_factory=lambda: f"xoxb-{secrets.randbelow(10**12)}-{secrets.token_urlsafe(18)}", repr=False
    )
    app: str = field(default_factory=lambda: f"xapp-1-A0SANDBOX-{secrets.token_hex(24)}", repr=False)
    page: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
