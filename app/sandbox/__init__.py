"""A Slack workspace on loopback: the bot's peer on a laptop and in the tests."""

from app.sandbox.control import Sandbox
from app.sandbox.faults import RESET, Fault
from app.sandbox.limits import NONE as NO_LIMITS
from app.sandbox.people import Outcome
from app.sandbox.refusals import Refusal
from app.sandbox.server import serve
from app.sandbox.tokens import Tokens
from app.sandbox.workspace import App, Message, Status

__all__ = [
    "NO_LIMITS",
    "RESET",
    "App",
    "Fault",
    "Message",
    "Outcome",
    "Refusal",
    "Sandbox",
    "Status",
    "Tokens",
    "serve",
]
