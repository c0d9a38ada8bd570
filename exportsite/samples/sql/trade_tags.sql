-- None to three of the common tags, one of each group at most; one trade in a hundred bears one of the others.
INSERT INTO samples_trade_tags (trade_id, tag_id)
SELECT i, 1 + 8 * kind + pg_temp.dice(i, %(salt)s + 60 + kind, 8)
FROM generate_series(1, %(trades)s::bigint) AS i
CROSS JOIN generate_series(0, 2) AS kind
WHERE pg_temp.dice(i, %(salt)s + 63 + kind, 10) < 6
UNION ALL
SELECT i, 25 + pg_temp.dice(i, %(salt)s + 66, %(tags)s - 24)
FROM generate_series(1, %(trades)s::bigint) AS i
WHERE pg_temp.dice(i, %(salt)s + 67, 100) = 0
