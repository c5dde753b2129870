//! Certificates of the lab, created by `openssl`.

use std::fs;
use std::path::{Path, PathBuf};

use super::run::{LabError, run, write};

/// The purpose of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An engine.
    Server,
    /// A client of engines.
    Client,
    /// A member of etcd, which is also its own client.
    Member,
}

/// A certificate authority, by the path of its files: `ca.pem`, and its key beside it.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Creates an authority in a folder.
    ///
    /// # Errors
    /// If `openssl` fails.
    pub fn new(folder: &Path, name: &str) -> Result<Self, LabError> {
        fs::create_dir_all(folder).map_err(|error| {
            LabError::new(&format!("making {}", folder.display()), &error.to_string())
        })?;
        let authority = Self::at(folder);
        let (ca, key) = (authority.path("ca.pem"), authority.path("ca-key.pem"));
        let subject = format!("/CN={name}");
        let own = [
            "-x509",
            "-days",
            "30",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ];
        new_key(&key, &ca, &subject, &own)?;
        Ok(authority)
    }

    /// Returns an existing authority.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Returns the path of its certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Creates a key and a certificate, `CERT.pem` and `KEY.pem` in its folder, and returns their paths. `names` are
    /// as in `subjectAltName`: `IP:10.0.0.1`, `DNS:alpha`. It expires `days` from now, which may be in the past.
    ///
    /// # Errors
    /// If `openssl` fails.
    pub fn issue(
        &self,
        cert: &str,
        key: &str,
        purpose: Purpose,
        names: &[&str],
        days: i32,
    ) -> Result<(PathBuf, PathBuf), LabError> {
        let (cert, key) = (format!("{cert}.pem"), format!("{key}.pem"));
        let (request, extensions) = (self.path("request.csr"), self.path("extensions"));
        new_key(&self.path(&key), &request, "/CN=tally lab member", &[])?;
        let usage = match purpose {
            Purpose::Server => "serverAuth",
            Purpose::Client => "clientAuth",
            Purpose::Member => "serverAuth,clientAuth",
        };
        let mut text = format!("extendedKeyUsage=critical,{usage}\nbasicConstraints=CA:FALSE\n");
        if !names.is_empty() {
            text.push_str(&format!("subjectAltName={}\n", names.join(",")));
        }
        write(Path::new(&extensions), &text)?;
        run(
            "openssl",
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                &self.path("ca.pem"),
                "-CAkey",
                &self.path("ca-key.pem"),
                "-set_serial",
                &serial(),
                "-days",
                &days.to_string(),
                "-extfile",
                &extensions,
                "-out",
                &self.path(&cert),
            ],
        )?;
        let _ = fs::remove_file(&request);
        let _ = fs::remove_file(&extensions);
        Ok((self.folder.join(cert), self.folder.join(key)))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// Creates a key on a curve, and a request for it; with `-x509` in `more`, a certificate.
fn new_key(key: &str, out: &str, subject: &str, more: &[&str]) -> Result<(), LabError> {
    let curve = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let files = ["-keyout", key, "-out", out, "-subj", subject];
    run("openssl", &[curve.as_slice(), &files, more].concat()).map(drop)
}

/// Returns a serial number: the certificates of one authority must have different ones.
fn serial() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |now| now.as_nanos()).to_string()
}
