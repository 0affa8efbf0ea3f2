"""`python -m esb_agent`."""

import sys

from esb_agent.main import main

sys.exit(main())
