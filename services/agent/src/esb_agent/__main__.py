"""`python -m esb_agent`."""

import os
import sys

# gRPC would halt its threads for each program that is started, and at times end the child before it begins.
# It reads this when it is loaded.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from esb_agent.main import main

sys.exit(main())
