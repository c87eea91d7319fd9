"""What the file inputs and outputs share: finding, opening, compressing and replacing files."""
