-- How to drop and to create each foreign key, unique constraint and index of the tables, in an order fit for dropping.
SELECT drop_statement, create_statement
FROM (
    SELECT
        contype = 'f' AS foreign_key,
        format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname) AS drop_statement,
        format(
            'ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid)
        ) AS create_statement
    FROM pg_constraint
    WHERE conrelid = ANY (%(tables)s::regclass[]) AND contype IN ('f', 'u')
    UNION ALL
    SELECT
        false,
        format('DROP INDEX %%s', indexrelid::regclass),
        pg_get_indexdef(indexrelid)
    FROM pg_index
    WHERE indrelid = ANY (%(tables)s::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
) AS definition
ORDER BY foreign_key DESC, create_statement
