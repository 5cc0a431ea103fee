"""The same coordinate computed on a GPU, in torch; imported once a tensor lies on one."""
