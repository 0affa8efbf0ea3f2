"""`python -m esb_node`."""

from esb_node.entry import main

main()
