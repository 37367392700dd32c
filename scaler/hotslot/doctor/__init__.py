"""What a report of a fault needs, collected into one archive, without secrets."""
