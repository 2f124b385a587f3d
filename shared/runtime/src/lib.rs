//! Settings, the database factory, logs and metrics; run as a Lambda function or as a server.
