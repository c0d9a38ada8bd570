-- For each account the goals of one month, one quarter and one year, and those that run at the end of 2025.
-- What a goal came to is told by the trades, with the eyes of the evening of 2025-12-31.
INSERT INTO samples_goal (id, account_id, name, period, status, target, starts_on, ends_on, created_at)
SELECT
    row_number() OVER (ORDER BY account, starts_on, ends_on),
    account,
    name,
    period,
    CASE
        WHEN coalesce(sum(pnl), 0) >= target THEN 'ACHIEVED'
        WHEN ends_on >= date '2025-12-31' THEN 'ACTIVE'
        ELSE 'MISSED'
    END,
    target,
    starts_on,
    ends_on,
    timestamptz '2022-12-31 18:00:00+00' + interval '1 day' * (starts_on - date '2023-01-01')
FROM generate_series(1, %(accounts)s::bigint) AS account
CROSS JOIN (
    VALUES
        ('Good start', 'MONTHLY', date '2024-01-01', date '2024-01-31', 2),
        ('"Summer" quarter', 'QUARTERLY', date '2024-07-01', date '2024-09-30', 5),
        ('A year of discipline', 'YEARLY', date '2024-01-01', date '2024-12-31', 12),
        ('Last week of the year', 'WEEKLY', date '2025-12-29', date '2026-01-04', 1),
        ('Dezember', 'MONTHLY', date '2025-12-01', date '2025-12-31', 2),
        ('2025, all of it', 'YEARLY', date '2025-01-01', date '2025-12-31', 12)
) AS plan (name, period, starts_on, ends_on, size)
CROSS JOIN LATERAL (
    SELECT 40.00 * size * (1 + pg_temp.dice(account, %(salt)s + 70 + size, 8)) AS target OFFSET 0
) AS thrown
LEFT JOIN samples_trade
    ON account_id = account
    AND closed_at >= starts_on::timestamp AT TIME ZONE 'UTC'
    AND closed_at < (ends_on + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY account, name, period, target, starts_on, ends_on
