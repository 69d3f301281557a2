"""Networks: plain modules that know nothing of what they are trained for."""
