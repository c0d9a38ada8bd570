-- Chance that can be repeated: a throw depends on its row and its salt alone, and the salt on --seed and the column.
-- hashint8extended() is what hash partitions are cut by, so no version of PostgreSQL can change its answers, and
-- whatever else follows is arithmetic on integers and numerics: the same rows on every machine.
CREATE OR REPLACE FUNCTION pg_temp.dice(i bigint, salt bigint, sides bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE
RETURN mod(hashint8extended(i, salt) & 9223372036854775807, sides);

CREATE OR REPLACE FUNCTION pg_temp.pick(choices text[], i bigint, salt bigint) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN choices[1 + mod(hashint8extended(i, salt) & 9223372036854775807, cardinality(choices))];

CREATE OR REPLACE FUNCTION pg_temp.first_names() RETURNS text[]
LANGUAGE sql IMMUTABLE
RETURN ARRAY[
    'Ada', 'Agnès', 'Åsa', 'Ana María', 'Beyoncé', 'Carlos', 'Chloé', 'Daniel', 'Đorđe', 'Élodie', 'Emma', 'Fatima',
    'François', 'Grace', 'Gül', 'Hans-Jürgen', 'Ingrid', 'İpek', 'Jack', 'James', 'José', 'Jürgen', 'Katarzyna',
    'Lars', 'Liam', 'Łukasz', 'Maria', 'Mary Ann', 'Mohammed', 'Nguyễn', 'Olga', 'Olivia', 'Ørjan', 'Priya', 'Renée',
    'Seán', 'Siobhán', 'Sofia', 'Søren', 'Thomas', 'Tomáš', 'Zoë', 'Αθηνά', 'Борис', 'דוד', 'محمد', '明', 'さくら', '지민'
];

CREATE OR REPLACE FUNCTION pg_temp.last_names() RETURNS text[]
LANGUAGE sql IMMUTABLE
RETURN ARRAY[
    'Andersson', 'Bianchi', 'Brown', 'Çelik', 'D''Angelo', 'de la Cruz', 'Dvořák', 'Fernández', 'García', 'Goldberg',
    'Großmann', 'Haugen', 'Ivanova', 'Jensen', 'Johnson', 'Jones, Jr.', 'Kowalski', 'Lefèvre', 'MacDonald', 'Martin',
    'Müller', 'Nakamura', 'Ñáñez', 'Núñez', 'O''Brien', 'O’Neill', 'Øvergaard', 'Papadopoulos', 'Petrović', 'Rossi',
    'Saint-Exupéry', 'Schmidt', 'Silva', 'Singh', 'Smith', 'Szabó', 'Taylor', 'van den Berg', 'von Weiß', 'Wójcik',
    'Yılmaz', 'Žižek', 'Παπαδόπουλος', 'Кузнецов', 'כהן', 'الحسن', '王', '田中', '김'
];

-- What breaks exports that are made by hand: separators, quotes, line ends, formulas, what COPY and XML keep for
-- themselves, what spreadsheets take for something else, and characters that are not one byte, or two, or alone.
CREATE OR REPLACE FUNCTION pg_temp.awkward() RETURNS text[]
LANGUAGE sql IMMUTABLE
RETURN ARRAY[
    'He said "no", and left', '"', '""', '''', 'a,b;c|d', E'tab\there', E'two\nlines', E'two\r\nlines of Windows',
    E'\n', E'old Mac\rline', ',', ';', ' leading space', 'trailing space ', '   ', E'\t',
    '=1+1', '=HYPERLINK("http://example.com","click")', '+49 30 1234567', '-1', '@SUM(A1:A9)', '＝1+1', E'\r=2+2',
    E'C:\\new\\table', E'\\N', E'\\.', E'\\', '<b>R&D</b> ]]>', '_x000D_', E'bell\x07 and escape\x1b[1m',
    '00042', '1e5', '1/2', 'TRUE', 'NULL', 'NaN', '12345678901234567890', '2024-02-30',
    'emoji 🎉 and family 👩‍👩‍👧‍👦', 'flag 🇨🇭', '𝒮𝒸𝓇𝒾𝓅𝓉 𠮷野家', E'combining e\u0301 is not \u00e9', E'Z\u0351\u036b\u0343a\u0329l\u0356go',
    E'bidi \u202eabc\u202c', E'no\u00a0break\u200bzero', E'\ufeffmark of order', E'line\u2028separator', E'next\u0085line',
    'שלום, עולם', 'مرحبا بالعالم', '北京烤鸭', 'ﬁ ligature ß ẞ İ ı', E'\uffff is no character'
];
