-- Three numbers that tell a lost answer from a stolen token, as in sql/sqlserver.

ALTER TABLE RefreshToken ADD COLUMN UsedCounter int NOT NULL DEFAULT 0;
ALTER TABLE RefreshToken ADD COLUMN FirstVoid int NOT NULL DEFAULT 0;
ALTER TABLE RefreshToken ADD COLUMN LastVoid int NOT NULL DEFAULT 0;

INSERT INTO SchemaVersion (Version) VALUES (3);
