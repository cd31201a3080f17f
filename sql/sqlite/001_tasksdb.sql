-- TasksDb as the .NET original makes it: the same tables, columns, types and constraint names.
-- SQLite accepts the type names of SQL Server; only an identity column must be an INTEGER.

CREATE TABLE SchemaVersion (
    Version int NOT NULL,
    AppliedAt datetime2(3) NOT NULL DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'now')),
    CONSTRAINT PK_SchemaVersion PRIMARY KEY (Version)
);

CREATE TABLE "User" (
    Id integer NOT NULL CONSTRAINT PK_User PRIMARY KEY AUTOINCREMENT,
    Email nvarchar(50) NOT NULL COLLATE NOCASE,
    Password nvarchar(255) NOT NULL,
    PasswordSalt nvarchar(255) NOT NULL,
    FirstName nvarchar(255) NOT NULL,
    LastName nvarchar(255) NOT NULL,
    TS smalldatetime NOT NULL,
    Active bit NOT NULL
);

CREATE TABLE Task (
    Id integer NOT NULL CONSTRAINT PK_Task PRIMARY KEY AUTOINCREMENT,
    UserId int NOT NULL,
    Name nvarchar(100) NOT NULL,
    IsCompleted bit NOT NULL,
    TS smalldatetime NOT NULL,
    CONSTRAINT FK_Task_User FOREIGN KEY (UserId) REFERENCES "User" (Id)
);

CREATE TABLE RefreshToken (
    Id integer NOT NULL CONSTRAINT PK_RefreshToken PRIMARY KEY AUTOINCREMENT,
    UserId int NOT NULL,
    TokenHash nvarchar(1000) NOT NULL,
    TokenSalt nvarchar(50) NOT NULL,
    TS smalldatetime NOT NULL,
    ExpiryDate smalldatetime NOT NULL,
    CONSTRAINT FK_RefreshToken_User FOREIGN KEY (UserId) REFERENCES "User" (Id)
);

INSERT INTO SchemaVersion (Version) VALUES (1);
