"""What the scenarios have in hand: clients of the box under test, and its operator's view of it."""
