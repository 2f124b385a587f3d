use switchyard_settings::Environment;

use crate::lambda;

/// What a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// A server.
    Server,
    /// A Lambda function.
    Lambda {
        /// The function's name.
        function: String,
    },
}

impl Platform {
    /// Reads the platform from the environment, which AWS sets for functions.
    pub fn read(environment: &Environment) -> Self {
        if !lambda::is_here(environment) {
            return Self::Server;
        }
        let function = environment.text("AWS_LAMBDA_FUNCTION_NAME").unwrap_or("function").to_owned();
        Self::Lambda { function }
    }
}
