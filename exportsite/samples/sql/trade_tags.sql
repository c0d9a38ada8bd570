-- None to three of the common tags, one of each group at most; one trade in a hundred bears one of the others.
-- Half of the losses with a mood were FOMO or Revenge, half of the wins with a setup an A+ one.
INSERT INTO samples_trade_tags (trade_id, tag_id)
SELECT
    id,
    CASE
        WHEN kind = 2 AND pnl < 0 AND told THEN 17 + pg_temp.dice(id, %(salt)s + 69, 2)
        WHEN kind = 0 AND pnl > 0 AND told THEN 8
        ELSE 1 + 8 * kind + pg_temp.dice(id, %(salt)s + 60 + kind, 8)
    END
FROM samples_trade
CROSS JOIN generate_series(0, 2) AS kind
CROSS JOIN LATERAL (SELECT pg_temp.dice(id, %(salt)s + 68, 2) = 0 AS told) AS thrown
WHERE pg_temp.dice(id, %(salt)s + 63 + kind, 10) < 6
UNION ALL
SELECT i, 25 + pg_temp.dice(i, %(salt)s + 66, %(tags)s - 24)
FROM generate_series(1, %(trades)s::bigint) AS i
WHERE pg_temp.dice(i, %(salt)s + 67, 100) = 0
ORDER BY 1, 2
