"""The same coordinate computed on a GPU, in torch. Nothing outside imports it before a tensor lies on one."""
