"""Write each record of a Penstock pipeline to a file of its own."""
