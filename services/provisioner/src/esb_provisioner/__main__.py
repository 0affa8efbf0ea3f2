"""`python -m esb_provisioner`."""

from esb_provisioner.main import main

main()
