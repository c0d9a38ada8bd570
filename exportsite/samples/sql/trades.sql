-- pnl is exactly (exit - entry) * quantity, turned for shorts, less fees. What would close after 2025 is still open.
-- Four that follow each other are one session of an account, so that its days have several trades or none.
INSERT INTO samples_trade (
    id, account_id, instrument_id, opened_at, closed_at, direction, status, quantity, entry_price, exit_price, fees, pnl,
    notes
)
SELECT
    i,
    1 + mod(i / 4, %(accounts)s),
    instrument,
    opened_at,
    CASE WHEN status = 'CLOSED' THEN closes_at END,
    CASE WHEN sign > 0 THEN 'LONG' ELSE 'SHORT' END,
    status,
    quantity,
    entry_price,
    CASE WHEN status = 'CLOSED' THEN exit_price END,
    fees,
    CASE WHEN status = 'CLOSED' THEN round((exit_price - entry_price) * quantity * sign - fees, 2) END,
    CASE
        WHEN mod(i, 15) = 4 THEN (pg_temp.awkward())[1 + mod(i / 15, cardinality(pg_temp.awkward()))]
        WHEN mod(i, 15) = 5 THEN ''
        WHEN mod(i, 3) = 0 THEN pg_temp.pick(ARRAY[
            'Waited for the retest.', 'Entered too early, stop too tight.', E'Plan:\n- half off at 1R\n- rest by trail',
            'Followed the plan.', 'Slippage on the way out…', 'Nach Nachrichten eingestiegen.', 'Good read, bad size.'
        ], i, %(salt)s + 50)
    END
FROM (
    SELECT
        i, instrument, opened_at, closes_at, sign, quantity, entry_price,
        -- Some were stopped where they had earned their fees: most of those made exactly nothing.
        CASE
            WHEN pg_temp.dice(i, %(salt)s + 59, 25) = 0 THEN round(entry_price + sign * fees / quantity, 5)
            ELSE round(entry_price * (10000 + sign * move) / 10000, 5)
        END AS exit_price,
        fees,
        CASE
            WHEN pg_temp.dice(i, %(salt)s + 51, 40) = 0 THEN 'CANCELLED'
            WHEN i = %(trades)s OR closes_at >= timestamptz '2026-01-01 00:00:00+00' THEN 'OPEN'
            ELSE 'CLOSED'
        END AS status
    FROM generate_series(1, %(trades)s::bigint) AS i
    CROSS JOIN LATERAL (
        SELECT
            1 + pg_temp.dice(i, %(salt)s + 52, 16) AS instrument,
            2 * pg_temp.dice(i, %(salt)s + 53, 2) - 1 AS sign,
            -- A bit more often right than wrong, and losses cut sooner than profits.
            pg_temp.dice(i, %(salt)s + 54, 261) - 120
            + CASE WHEN pg_temp.dice(i, %(salt)s + 55, 12) = 0 THEN 200 ELSE 0 END AS move,
            -- Two that follow each other often opened together.
            timestamptz '2023-01-01 00:00:00+00'
            + interval '1 second' * ((i - mod(i, 3) / 2) * 94694399 / %(trades)s) AS opened_at,
            interval '1 second' * (60 + 259200000 / (150 + pg_temp.dice(i, %(salt)s + 56, 60000))) AS held
        OFFSET 0
    ) AS thrown
    CROSS JOIN LATERAL (
        SELECT
            opened_at + held AS closes_at,
            round(
                (ARRAY[
                    1.0842, 1.2655, 148.20, 2050.40, 61250.00, 3120.50, 142.75, 5120.25, 17850.50, 74.31, 187.42,
                    402.56, 121.10, 448.07, 98.63, 731.20
                ])[instrument] * (8000 + pg_temp.dice(i, %(salt)s + 57, 4001)) / 10000, 5
            ) AS entry_price
        OFFSET 0
    ) AS entered
    CROSS JOIN LATERAL (
        SELECT round((500 + 100 * pg_temp.dice(i, %(salt)s + 58, 300)) / entry_price, 4) AS quantity OFFSET 0
    ) AS sized
    CROSS JOIN LATERAL (SELECT round(0.50 + entry_price * quantity * 0.0002, 2) AS fees OFFSET 0) AS charged
) AS made
