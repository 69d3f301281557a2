"""Tables of the report, by what they show."""
