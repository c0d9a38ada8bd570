INSERT INTO samples_account (id, number, owner)
SELECT
    i,
    'AC-' || lpad(i::text, 6, '0'),
    pg_temp.pick(pg_temp.first_names(), i, %(salt)s + 1) || ' ' || pg_temp.pick(pg_temp.last_names(), i, %(salt)s + 2)
FROM generate_series(1, %(accounts)s::bigint) AS i
