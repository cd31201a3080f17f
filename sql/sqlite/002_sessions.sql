-- A RefreshToken row becomes a session, as in sql/sqlserver. SQLite cannot add a column with a computed default, so
-- this script makes a new table.

CREATE TABLE RefreshToken_new (
    Id integer NOT NULL CONSTRAINT PK_RefreshToken PRIMARY KEY AUTOINCREMENT,
    UserId int NOT NULL,
    TokenHash nvarchar(1000) NOT NULL,
    TokenSalt nvarchar(50) NOT NULL,
    TS smalldatetime NOT NULL,
    ExpiryDate smalldatetime NOT NULL,
    SessionId uniqueidentifier NOT NULL DEFAULT (LOWER(HEX(RANDOMBLOB(16)))),
    Counter int NOT NULL DEFAULT 0,
    StartedAt datetime2(3) NULL,
    RotatedAt datetime2(3) NULL,
    UserAgent nvarchar(255) NULL,
    IpAddress varchar(45) NULL,
    CONSTRAINT FK_RefreshToken_User FOREIGN KEY (UserId) REFERENCES "User" (Id)
);

INSERT INTO RefreshToken_new (Id, UserId, TokenHash, TokenSalt, TS, ExpiryDate)
SELECT Id, UserId, TokenHash, TokenSalt, TS, ExpiryDate FROM RefreshToken;

DROP TABLE RefreshToken;

ALTER TABLE RefreshToken_new RENAME TO RefreshToken;

CREATE UNIQUE INDEX UX_RefreshToken_SessionId ON RefreshToken (SessionId);
CREATE INDEX IX_RefreshToken_UserId ON RefreshToken (UserId);
CREATE INDEX IX_RefreshToken_ExpiryDate ON RefreshToken (ExpiryDate);
CREATE INDEX IX_Task_UserId_Id ON Task (UserId, Id);
CREATE UNIQUE INDEX UX_User_Email ON "User" (Email);

INSERT INTO SchemaVersion (Version) VALUES (2);
