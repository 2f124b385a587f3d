//! The Database contract on Amazon DynamoDB.
