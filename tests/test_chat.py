"""What the model writes, as Slack gets it."""

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox import mrkdwn
from app.slack.chat import escape, verbatim

PIECES = [
    "<!channel>",
    "<!here|x>",
    "<!subteam^S1>",
    "<@U0YOU>",
    "<",
    ">",
    "&",
    "&lt;",
    "&amp;",
    "|",
    "@here",
    "!",
    "@U1",
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)


@given(HOSTILE)
def test_no_text_of_the_model_pings_anybody(text: str) -> None:
    assert mrkdwn.pings(escape(text), [verbatim(text)]) == ()


@given(HOSTILE)
def test_what_slack_shows_is_what_the_model_wrote(text: str) -> None:
    shown = escape(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert shown == text
    assert verbatim(text)["elements"][0]["elements"] == [{"type": "text", "text": text}]
