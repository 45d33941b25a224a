"""Songs without a screen: `python -m levo`, on one machine or on a Ray cluster, and the report on them."""
