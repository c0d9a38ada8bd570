INSERT INTO samples_customer (id, name, email, signup_date, country_code, subscription_tier, lifetime_value)
SELECT
    i,
    CASE mod(i, 40)
        WHEN 17 THEN pg_temp.pick(pg_temp.awkward(), i, %(salt)s + 10)
        ELSE first || ' ' || last
    END,
    CASE
        WHEN mod(i, 25) = 3 THEN NULL
        WHEN mod(i, 50) = 4 THEN ''
        ELSE 'customer.' || i || '@' || pg_temp.pick(
            ARRAY['example.com', 'example.org', 'mail.example', 'münchen.example'], i, %(salt)s + 13
        )
    END,
    date '2023-01-01' + pg_temp.dice(i, %(salt)s + 14, 1096)::int,
    pg_temp.pick(ARRAY[
        'AT', 'AU', 'BR', 'CA', 'CH', 'CN', 'CZ', 'DE', 'DE', 'DE', 'DK', 'ES', 'FR', 'FR', 'GB', 'GB', 'GR', 'IE',
        'IL', 'IN', 'IT', 'JP', 'KR', 'MX', 'NL', 'NO', 'PL', 'PT', 'SE', 'TR', 'US', 'US', 'US', 'US', 'US', 'VN', 'ZA'
    ], i, %(salt)s + 15),
    CASE WHEN tier < 60 THEN 'FREE' WHEN tier < 85 THEN 'BASIC' WHEN tier < 98 THEN 'PRO' ELSE 'ENTERPRISE' END,
    -- The price of the tier by months paid, and what was bought beside: most have paid for few months, some for many.
    CASE
        WHEN tier < 60 THEN 0.00
        WHEN tier < 85 THEN 9.99 * months + extras
        WHEN tier < 98 THEN 49.00 * months + extras
        ELSE 1250.00 * months + extras
    END
FROM generate_series(1, %(rows)s::bigint) AS i
CROSS JOIN LATERAL (
    SELECT
        pg_temp.pick(pg_temp.first_names(), i, %(salt)s + 11) AS first,
        pg_temp.pick(pg_temp.last_names(), i, %(salt)s + 12) AS last,
        pg_temp.dice(i, %(salt)s + 16, 100) AS tier,
        1 + 400 / (9 + pg_temp.dice(i, %(salt)s + 17, 300)) AS months,
        0.01 * pg_temp.dice(i, %(salt)s + 18, 5000) AS extras
    OFFSET 0
) AS thrown
