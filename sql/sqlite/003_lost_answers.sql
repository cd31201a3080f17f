-- What tells a lost answer from a stolen token, as in sql/sqlserver.

ALTER TABLE RefreshToken ADD COLUMN UsedCounter int NOT NULL DEFAULT 0;
ALTER TABLE RefreshToken ADD COLUMN VoidAnswers bigint NOT NULL DEFAULT 0;
ALTER TABLE RefreshToken ADD COLUMN VoidCounter int NOT NULL DEFAULT 0;

INSERT INTO SchemaVersion (Version) VALUES (3);
