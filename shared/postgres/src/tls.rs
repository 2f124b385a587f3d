//! TLS with verified certificates.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use switchyard_database::{Error, Result};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Returns a connector that accepts a server only if its certificate is valid for the host of the URL and is
/// signed by an authority in `root_certificates`, or without that file by one that the machine trusts.
pub(crate) fn connector(root_certificates: Option<&Path>) -> Result<MakeRustlsConnect> {
    let roots = match root_certificates {
        Some(file) => roots_of_file(file)?,
        None => switchyard_tls::roots_of_machine(),
    };
    let mut config = switchyard_tls::client_config(roots);
    // Required by `sslnegotiation=direct`; servers that negotiate TLS ignore it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn roots_of_file(file: &Path) -> Result<RootCertStore> {
    let cannot = |why: &dyn std::fmt::Display| {
        Error::Invalid(format!("the certificates in sslrootcert={} cannot be used: {why}", file.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|fault| cannot(&fault))? {
        let certificate = certificate.map_err(|fault| cannot(&fault))?;
        roots.add(certificate).map_err(|fault| cannot(&fault))?;
    }
    if roots.is_empty() { Err(cannot(&"the file contains none")) } else { Ok(roots) }
}
