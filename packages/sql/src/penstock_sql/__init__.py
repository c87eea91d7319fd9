"""What the SQL packages of Penstock share: `urls`, `database` and `kinds`."""
