"""`python -m esb_gateway`."""

import sys

from esb_gateway.main import main

sys.exit(main())
