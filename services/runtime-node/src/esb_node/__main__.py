"""`python -m esb_node`."""

from esb_node.cli import main

main()
