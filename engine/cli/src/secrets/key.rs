//! The key for hashes of secrets: `.tally/secret.key`. Without it nobody can use a label to test a guess.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::errors::CliError;
use crate::project::Project;

const BYTES: usize = 32;
/// The permissions of everybody but the owner of a file.
const OTHERS: u32 = 0o077;

/// The key of a folder.
pub(super) struct HashKey([u8; BYTES]);

impl HashKey {
    /// Returns the keyed hash of a secret: HMAC-SHA256, 64 hex digits. Two secrets with the same content have
    /// different hashes.
    pub(super) fn hash(&self, cluster: &str, name: &str, value: &[u8]) -> String {
        // HMAC accepts a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        // Neither contains a character 0.
        for part in [cluster.as_bytes(), b"\0", name.as_bytes(), b"\0", value] {
            mac.update(part);
        }
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Returns the key of a spec's folder, which is created when it is first needed.
///
/// # Errors
/// If it cannot be created, or the file is not a key.
pub(super) fn key(project: &Project) -> Result<HashKey, CliError> {
    let path = project.kept().join("secret.key");
    match read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make(&path).map_err(|error| failed(&path, &error))?;
            read(&path).map_err(|error| failed(&path, &error))
        }
        other => other.map_err(|error| failed(&path, &error)),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Usage(
        format!("`{}` cannot be used: {error}", path.display()),
        "Tally uses this key to detect whether a secret has changed. Repair it; or remove it, and \
         each secret counts as changed once."
            .to_owned(),
    )
}

fn read(path: &Path) -> std::io::Result<HashKey> {
    // A pipe would never end, and a key that others can read or replace protects nothing.
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mode = found.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        let path = path.display();
        return Err(std::io::Error::other(format!(
            "its mode is {mode:04o}, and only its owner may read it: `chmod 600 {path}`"
        )));
    }
    let mut text = String::new();
    fs::File::open(path)?.take(4096).read_to_string(&mut text)?;
    let wrong = || std::io::Error::other("it does not contain 64 hex digits");
    let text = text.trim();
    let mut key = [0; BYTES];
    if text.len() != 2 * BYTES {
        return Err(wrong());
    }
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        let digits = text.get(at..at + 2).ok_or_else(wrong)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(HashKey(key))
}

/// Creates a key file atomically; a key that another process has created meanwhile stays.
fn make(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    // A key that is committed with the spec protects nothing.
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, "*\n")?;
    }
    let mut bytes = [0_u8; BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&new, path);
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_its_owner_alone_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project {
            folder: folder.path().to_owned(),
            entry: String::new(),
            shown: String::new(),
        };
        let first = key(&project).ok().unwrap().hash("shop", "db", b"x");
        assert_eq!(key(&project).ok().unwrap().hash("shop", "db", b"x"), first);
        assert_ne!(key(&project).ok().unwrap().hash("shop", "db", b"y"), first);
        assert_ne!(key(&project).ok().unwrap().hash("shop", "other", b"x"), first);
        let mode =
            fs::metadata(folder.path().join(".tally/secret.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let ignored = fs::read_to_string(folder.path().join(".tally/.gitignore")).unwrap();
        assert_eq!(ignored, "*\n", "it is not committed by accident");
        let path = folder.path().join(".tally/secret.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let Err(CliError::Usage(refused, _)) = key(&project) else { panic!("others read it") };
        assert!(refused.contains("0644") && refused.contains("chmod 600"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "zz").unwrap();
        assert!(key(&project).is_err(), "a damaged key is never replaced unasked");
    }

    #[test]
    fn the_hash_is_hmac_sha256() {
        // By `printf 'c\\0n\\0v' | openssl dgst -sha256 -mac HMAC -macopt hexkey:00…00`.
        let hash = HashKey([0; BYTES]).hash("c", "n", b"v");
        assert_eq!(hash, "47ce16bc117dd6718b9ea3177bed2f281b130330997bb688c620075eed31050b");
    }
}
