"""Diagrams as SVG, drawn from the networks themselves."""
