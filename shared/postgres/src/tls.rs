//! TLS with verified certificates.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use switchyard_database::{Error, Result};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The name that AWS gives to the file with the certificate authorities of Amazon RDS in all regions.
const RDS_FILE: &str = "global-bundle.pem";
const RDS_URL: &str = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem";

/// Where certificate authorities are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootCertificates {
    /// This PEM file.
    File(PathBuf),
    /// Those of Amazon RDS, which no machine trusts by default, from AWS's file in one of some folders. They are
    /// not part of the program, because AWS adds some for each new region.
    Rds,
}

impl RootCertificates {
    pub(crate) fn parse(value: &str) -> Self {
        if value == "rds" { Self::Rds } else { Self::File(value.into()) }
    }
}

/// Returns a connector that accepts a server only if its certificate is valid for the host of the URL and is
/// signed by an authority in `root_certificates`, or without them by one that the machine trusts.
pub(crate) fn connector(root_certificates: Option<&RootCertificates>) -> Result<MakeRustlsConnect> {
    let roots = match root_certificates {
        Some(RootCertificates::File(file)) => roots_of_file(file)?,
        Some(RootCertificates::Rds) => roots_of_file(&rds_file_in(&rds_folders())?)?,
        None => switchyard_tls::roots_of_machine(),
    };
    let mut config = switchyard_tls::client_config(roots);
    // Required by `sslnegotiation=direct`; servers that negotiate TLS ignore it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

/// The folder of the program, which is that of the function on Lambda, the folder of a Lambda layer, and the one
/// that Linux distributions use for certificates.
fn rds_folders() -> Vec<PathBuf> {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    program.into_iter().chain(["/opt", "/etc/ssl/certs"].map(PathBuf::from)).collect()
}

fn rds_file_in(folders: &[PathBuf]) -> Result<PathBuf> {
    let mut files = folders.iter().map(|folder| folder.join(RDS_FILE));
    files.find(|file| file.is_file()).ok_or_else(|| {
        let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        Error::Invalid(format!(
            "sslrootcert=rds needs the file {RDS_FILE} in one of the folders {}; download it from {RDS_URL}",
            folders.join(", ")
        ))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_of_rds_are_found_or_it_is_said_where_to_get_them() {
        let folder = std::env::temp_dir().join(format!("switchyard-rds-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let folders = [PathBuf::from("/nowhere"), folder.clone()];
        assert_eq!(
            rds_file_in(&folders).unwrap_err().to_string(),
            format!(
                "invalid: sslrootcert=rds needs the file global-bundle.pem in one of the folders /nowhere, {}; \
                 download it from https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem",
                folder.display()
            )
        );
        let file = folder.join("global-bundle.pem");
        std::fs::write(&file, "").unwrap();
        assert_eq!(rds_file_in(&folders), Ok(file));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
