"""Performance claims are ratios from one run of a script in here."""
