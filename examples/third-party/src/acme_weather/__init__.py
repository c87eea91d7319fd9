"""Reports of weather stations, as an input for Penstock."""
