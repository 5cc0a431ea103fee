"""Callbacks that hold a mask while another trainer trains, one file for each trainer; each needs its trainer alone."""
