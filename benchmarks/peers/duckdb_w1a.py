"""W1a in DuckDB, on one thread, with the types given."""

import sys

import duckdb

QUERY = """
copy (
    select id as order_id, ts as created_at, user_name as customer, city, amount, qty, status, note,
           amount * qty as total
    from read_csv('{source}', auto_detect = false, header = true,
                  delim = ',', quote = '"', escape = '"', force_not_null = ['note'],
                  columns = {{'id': 'VARCHAR', 'ts': 'VARCHAR', 'user_name': 'VARCHAR',
                             'city': 'VARCHAR', 'amount': 'DOUBLE', 'qty': 'BIGINT',
                             'status': 'VARCHAR', 'note': 'VARCHAR'}})
    where qty >= 50
) to '{target}' (format json)
"""


def main(source, target):
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(QUERY.format(source=source, target=target))


main(*sys.argv[1:])
