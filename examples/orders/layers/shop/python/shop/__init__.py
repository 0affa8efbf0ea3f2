"""What the functions of the shop share; it comes to them as a layer."""
