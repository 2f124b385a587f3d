//! TLS settings for database clients: verified certificates, versions 1.2 and 1.3, a single cryptography library.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Returns settings that accept only servers with a certificate for the requested name, signed by an authority in
/// `roots`. The caller adds ALPN protocols if they are needed.
pub fn client_config(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider should have cipher suites for both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Returns the certificate authorities that the machine trusts. Having none is not an error here: verifying a
/// certificate then fails and reports it.
pub fn roots_of_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
