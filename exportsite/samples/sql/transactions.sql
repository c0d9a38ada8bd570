-- Seven of each eleven rows were booked in one batch at one moment, so that many chunks end within a tie.
-- One in twenty of the others was dated back, so that the order of booked_at is not the order of id.
INSERT INTO samples_transaction (
    id, account_id, booked_at, amount, fee, currency, status, merchant, description, reference, card_number
)
SELECT
    i,
    1 + pg_temp.dice(i, %(salt)s + 20, %(accounts)s),
    timestamptz '2023-01-01 00:00:00+00' + interval '1 microsecond' * (
        at
        - CASE WHEN pg_temp.dice(slot, %(salt)s + 22, 3) > 0 THEN mod(at, 1000000) ELSE 0 END
        - CASE WHEN late THEN 1000000 * pg_temp.dice(i, %(salt)s + 23, 259200) ELSE 0 END
    ),
    CASE WHEN status >= 97 THEN -cents ELSE cents END * 0.01,
    CASE WHEN status BETWEEN 88 AND 92 THEN NULL ELSE round(0.10 + cents * 0.00019, 2) END,
    pg_temp.pick(
        ARRAY['EUR', 'EUR', 'EUR', 'EUR', 'USD', 'USD', 'USD', 'GBP', 'GBP', 'CHF', 'JPY', 'PLN', 'SEK'], i, %(salt)s + 26
    ),
    CASE
        WHEN status < 88 THEN 'SETTLED'
        WHEN status < 93 THEN 'PENDING'
        WHEN status < 97 THEN 'FAILED'
        ELSE 'REFUNDED'
    END,
    merchant,
    CASE
        WHEN mod(i, 10) = 3 THEN (pg_temp.awkward())[1 + mod(i / 10, cardinality(pg_temp.awkward()))]
        WHEN mod(i, 20) = 6 THEN NULL
        WHEN mod(i, 20) = 16 THEN ''
        ELSE pg_temp.pick(ARRAY[
            'Card payment', 'Contactless', 'Online order', 'Direct debit', 'Standing order', 'Thank you for your order!',
            'Abonnement, mensuel', 'Rechnung', 'Kartenzahlung; Filiale 12', 'Compra con tarjeta'
        ], i, %(salt)s + 27) || ' ' || merchant
    END,
    CASE pg_temp.dice(i, %(salt)s + 28, 12)
        WHEN 0 THEN NULL
        WHEN 1 THEN ''
        WHEN 2 THEN lpad(pg_temp.dice(i, %(salt)s + 29, 100000000)::text, 12, '0')
        ELSE 'INV-' || i || '/' || pg_temp.dice(i, %(salt)s + 29, 1000)
    END,
    -- No network issues cards that begin with 9.
    CASE
        WHEN pg_temp.dice(i, %(salt)s + 30, 4) > 0
        THEN '9999' || lpad(pg_temp.dice(i, %(salt)s + 31, 1000000000000)::text, 12, '0')
    END
FROM generate_series(1, %(rows)s::bigint) AS i
CROSS JOIN LATERAL (
    SELECT
        i - CASE WHEN mod(i, 11) < 7 THEN mod(i, 11) ELSE 0 END AS slot,
        mod(i, 11) > 6 AND pg_temp.dice(i, %(salt)s + 21, 20) = 0 AS late,
        -- Most pay less than 50, a few 1,000 times as much.
        24000000000 / (1000 + pg_temp.dice(i, %(salt)s + 24, 9999000)) - 1901 AS cents,
        pg_temp.dice(i, %(salt)s + 25, 100) AS status,
        pg_temp.pick(ARRAY[
            'Aldi', 'Amazon', 'Apple', 'Ålesund Fisk', 'Boulangerie "Chez Élise"', 'Carrefour', 'Deutsche Bahn',
            'El Corte Inglés', 'H&M', 'IKEA', 'Kiosk am Zoo', 'Łódź Café', 'McDonald''s', 'Mercadona', 'Migros',
            'Müller & Söhne, GmbH', 'Netflix', 'Pâtisserie Hervé', 'Rossmann', 'Sainsbury''s', 'Shell', 'Smørrebrød & Co.', 'Spotify', 'Starbucks',
            'Tesco', 'Uber', 'Żabka', 'Το Καφενείο', 'Пятёрочка', 'ファミリーマート', '北京烤鸭店', '스타벅스 강남점'
        ], i, %(salt)s + 32) AS merchant
    OFFSET 0
) AS thrown
CROSS JOIN LATERAL (
    -- Microseconds of three years, a step to each row.
    SELECT slot * step + pg_temp.dice(slot, %(salt)s + 33, step) AS at
    FROM (SELECT 94694400000000 / (%(rows)s + 1)) AS spread (step)
    OFFSET 0
) AS moment
