"""Who may call: signatures, API keys, tokens, and the credentials of the box they are checked against."""
