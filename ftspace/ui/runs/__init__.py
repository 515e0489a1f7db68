"""The runs there are: the gallery, and several compared."""
