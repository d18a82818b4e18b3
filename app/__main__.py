"""`python -m app` is `millzbot`."""

from app.cli import main

main()
