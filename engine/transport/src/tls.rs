//! Mutual TLS that trusts the given authority only. The client library's own TLS also trusts the system's authorities,
//! so this module makes the configuration.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use tally_host::{TransportError, clean};

/// The largest file that is read for TLS, in bytes: a chain of certificates takes some kilobytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Files for mutual TLS, each PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsPaths {
    /// The only authorities that are trusted.
    pub ca: PathBuf,
    /// Our certificate, with the chain up to its authority.
    pub cert: PathBuf,
    /// Our key.
    pub key: PathBuf,
}

/// The TLS configuration for one server.
pub struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    ca: String,
}

impl Tls {
    /// Reads the files and checks that they belong together. `host` is the name that the engine's certificate must
    /// contain.
    ///
    /// # Errors
    /// The `Tls…` kinds: a file that does not exist or is not PEM, a key of another certificate, an expired
    /// certificate of ours.
    pub fn read(host: &str, paths: &TlsPaths) -> Result<Self, TransportError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = certificates(&paths.ca, "authority's certificate")?;
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|error| {
                file_fault("authority's certificate", &paths.ca, &words(&error))
            })?;
        }
        let chain = certificates(&paths.cert, "certificate")?;
        let key = key(&paths.key)?;
        let roots = Arc::new(roots);
        in_date(&provider, &roots, &chain, &paths.cert)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TransportError::Address {
            address: host.to_owned(),
            reason: "no certificate can bear this name".to_owned(),
        })?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TransportError::Tls { reason: words(&error) })?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| match error {
                Error::InconsistentKeys(_) => {
                    TransportError::TlsPair { cert: shown(&paths.cert), key: shown(&paths.key) }
                }
                other => file_fault("key", &paths.key, &words(&other)),
            })?;
        let ca = shown(&paths.ca);
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name, ca })
    }

    /// Makes the TLS handshake over a connection.
    ///
    /// # Errors
    /// The `Tls…` kinds.
    pub async fn wrap(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, TransportError> {
        let wrapped = self.connector.connect(self.name.clone(), tcp).await;
        wrapped.map_err(|error| match rustls_error(&error) {
            Some(found) => self.fault(found),
            None => TransportError::Unreachable {
                reason: format!("the connection broke off: {}", clean::line(&error.to_string())),
            },
        })
    }

    fn fault(&self, error: &Error) -> TransportError {
        let Error::InvalidCertificate(found) = error else { return fault(error) };
        match found {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TransportError::TlsAuthority { ca: self.ca.clone() }
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TransportError::TlsName { name: self.name.to_str().into_owned() }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TransportError::TlsDate { reason: "it has expired" }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TransportError::TlsDate { reason: "it is not valid yet" }
            }
            _ => fault(error),
        }
    }
}

/// Classifies a TLS error, of the handshake or later. With TLS 1.3 an engine refuses our certificate only after the
/// handshake, with an alert in the first answer.
pub(crate) fn fault(error: &Error) -> TransportError {
    match error {
        Error::AlertReceived(alert) => match alert {
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired => {
                TransportError::TlsRefused { reason: format!("it answers {alert:?}") }
            }
            _ => TransportError::Tls { reason: format!("the engine answers {alert:?}") },
        },
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            TransportError::TlsNotSpoken
        }
        other => TransportError::Tls { reason: words(other) },
    }
}

/// Returns the TLS error inside an I/O error.
pub(crate) fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn certificates(
    path: &Path,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TransportError> {
    let bytes = read(path, what)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(file_fault(what, path, "holds no PEM certificate")),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TransportError> {
    let bytes = read(path, "key")?;
    // The message of the parser could quote the file, which is secret.
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("ENCRYPTED") {
            file_fault("key", path, "is encrypted, and nobody is asked for its password")
        } else {
            file_fault("key", path, "holds no PEM key")
        }
    })
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TransportError> {
    use io::Read as _;
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => file_fault(what, path, "is not there"),
        io::ErrorKind::PermissionDenied => file_fault(what, path, "may not be read by this user"),
        _ => file_fault(what, path, &format!("cannot be read: {error}")),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(fault)?;
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(fault)?;
    Ok(bytes)
}

/// Checks the dates of our certificate, because the engine's own error for an expired one is unclear. Another authority
/// than the engine's may have signed it, so nothing else is checked here.
fn in_date(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: &[CertificateDer<'static>],
    path: &Path,
) -> Result<(), TransportError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let (Ok(verifier), Some((end, between))) = (verifier.build(), chain.split_first()) else {
        return Ok(());
    };
    match verifier.verify_client_cert(end, between, UnixTime::now()) {
        Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Err(file_fault("certificate", path, "has expired")),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Err(file_fault("certificate", path, "is not valid yet")),
        _ => Ok(()),
    }
}

fn file_fault(what: &'static str, path: &Path, reason: &str) -> TransportError {
    TransportError::TlsFile { what, path: shown(path), reason: reason.to_owned() }
}

fn shown(path: &Path) -> String {
    clean::line(&path.display().to_string())
}

fn words(error: &Error) -> String {
    clean::line(&error.to_string())
}
