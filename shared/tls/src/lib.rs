//! TLS as a client of a database speaks it: verified certificates, versions 1.2 and 1.3, one library of cryptography.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Settings that accept only servers whose certificate is for the name they are called by and signed by an authority
/// of `roots`. What of ALPN a protocol needs is for the caller to add.
pub fn client_config(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The authorities that the machine trusts. None at all is no fault here: it is where a certificate has to be verified,
/// which then fails and says so.
pub fn roots_of_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
