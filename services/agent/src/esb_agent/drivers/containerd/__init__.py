"""Mode `containerd`: workers are containers of a containerd, in networks made by CNI plugins."""
