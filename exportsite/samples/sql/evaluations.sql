-- Each of the first accounts, one for each person they are shared among, has failed once, passed, and is on trial now.
INSERT INTO samples_propevaluation (
    id, account_id, phase, status, starting_balance, profit_target, max_daily_loss, max_total_loss, starts_on, ends_on
)
SELECT
    row_number() OVER (ORDER BY account, starts_on),
    account, phase, status, 10000.00, target, 500.00, 1000.00, starts_on, ends_on
FROM generate_series(1, %(people)s::bigint) AS account
CROSS JOIN (
    VALUES
        ('CHALLENGE', 'FAILED', 800.00, date '2025-03-03', date '2025-03-21'),
        ('CHALLENGE', 'PASSED', 800.00, date '2025-06-02', date '2025-07-11'),
        ('VERIFICATION', 'ACTIVE', 500.00, date '2025-07-14', NULL)
) AS trial (phase, status, target, starts_on, ends_on)
