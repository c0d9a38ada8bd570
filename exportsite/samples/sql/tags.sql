-- The first 24 are what trades bear, eight each of setup, session and mood; the rest were made once and hardly used.
INSERT INTO samples_tag (id, name, colour, created_at, updated_at)
SELECT
    i,
    coalesce(
        (ARRAY[
            'Breakout', 'Pullback', 'Reversal', 'Range', 'Trend day', 'Gap & go', 'News "spike"', 'A+ setup',
            'Asia', 'London', 'New York', 'Overnight', 'Pre-market', 'Close; auction', 'Монитор', '東京',
            'FOMO', 'Revenge', 'Patient', 'Überzeugt', 'Tired; distracted', '=plan', '+size', '🚀 YOLO'
        ])[i],
        pg_temp.pick(
            ARRAY['Idea', 'Test', 'Watch', 'Review', 'Lesson', 'Journal', 'Übung', 'メモ'], i, %(salt)s + 40
        ) || ' ' || i
    ),
    '#' || lpad(to_hex(pg_temp.dice(i, %(salt)s + 41, 16777216)), 6, '0'),
    created_at,
    created_at + interval '1 second' * pg_temp.dice(i, %(salt)s + 42, 2592000) * (pg_temp.dice(i, %(salt)s + 43, 3) / 2)
FROM generate_series(1, %(tags)s::bigint) AS i
CROSS JOIN LATERAL (
    -- Three years but the last month, in which the last ones may still be changed.
    SELECT timestamptz '2023-01-01 00:00:00+00' + interval '1 second' * (i * 92016000 / (%(tags)s + 1)) AS created_at
    OFFSET 0
) AS moment
