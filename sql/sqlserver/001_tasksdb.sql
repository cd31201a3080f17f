-- TasksDb as the .NET original makes it. Existing tables are not changed.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
SET NOCOUNT ON;
GO

BEGIN TRANSACTION;

IF OBJECT_ID(N'SchemaVersion', N'U') IS NULL
    CREATE TABLE SchemaVersion (
        Version int NOT NULL,
        AppliedAt datetime2(3) NOT NULL DEFAULT SYSUTCDATETIME(),
        CONSTRAINT PK_SchemaVersion PRIMARY KEY (Version)
    );

IF OBJECT_ID(N'[User]', N'U') IS NULL
    CREATE TABLE [User] (
        Id int IDENTITY (1, 1) NOT NULL,
        Email nvarchar(50) NOT NULL,
        Password nvarchar(255) NOT NULL,
        PasswordSalt nvarchar(255) NOT NULL,
        FirstName nvarchar(255) NOT NULL,
        LastName nvarchar(255) NOT NULL,
        TS smalldatetime NOT NULL,
        Active bit NOT NULL,
        CONSTRAINT PK_User PRIMARY KEY (Id)
    );

IF OBJECT_ID(N'Task', N'U') IS NULL
    CREATE TABLE Task (
        Id int IDENTITY (1, 1) NOT NULL,
        UserId int NOT NULL,
        Name nvarchar(100) NOT NULL,
        IsCompleted bit NOT NULL,
        TS smalldatetime NOT NULL,
        CONSTRAINT PK_Task PRIMARY KEY (Id),
        CONSTRAINT FK_Task_User FOREIGN KEY (UserId) REFERENCES [User] (Id)
    );

IF OBJECT_ID(N'RefreshToken', N'U') IS NULL
    CREATE TABLE RefreshToken (
        Id int IDENTITY (1, 1) NOT NULL,
        UserId int NOT NULL,
        TokenHash nvarchar(1000) NOT NULL,
        TokenSalt nvarchar(50) NOT NULL,
        TS smalldatetime NOT NULL,
        ExpiryDate smalldatetime NOT NULL,
        CONSTRAINT PK_RefreshToken PRIMARY KEY (Id),
        CONSTRAINT FK_RefreshToken_User FOREIGN KEY (UserId) REFERENCES [User] (Id)
    );

IF NOT EXISTS (SELECT 1 FROM SchemaVersion WHERE Version = 1)
    INSERT INTO SchemaVersion (Version) VALUES (1);

COMMIT TRANSACTION;
GO
