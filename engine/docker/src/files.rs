//! Files in containers: the archive that writes them and the record of them, and reading the record back.

use std::collections::BTreeMap;
use std::io::Read as _;

use tally_graph::FileSpec;
use tally_reconcile::labels::{FILES_RECORD, SECRETS_FILES};
use tally_reconcile::plan::request::FilesPart;

use tally_host::{FileToWrite, HostError, OwnerKind, record};

/// The largest archive that is read from a container: records and user databases are small.
pub(crate) const READ_CAP_BYTES: usize = 4 << 20;

/// Parses a record. An invalid record counts as a missing one: the files are written again.
pub(crate) fn parse_record(bytes: &[u8]) -> Option<BTreeMap<String, FileSpec>> {
    serde_json::from_slice(bytes).ok()
}

/// Checks whether a file has an owner by name, which only the container's user database can resolve.
pub(crate) fn needs_names(files: &[FileToWrite]) -> bool {
    let is_name = |part: &str| part.parse::<u64>().is_err();
    files.iter().any(|file| file.owner.split(':').any(is_name))
}

/// The users and groups of a container.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserNames {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/group`.
    pub group: String,
}

impl UserNames {
    /// Resolves `user`, `uid`, `user:group` or `uid:gid` into numbers. Without a group it is the user's own group in
    /// `/etc/passwd`, or 0 for a number that has none there, as Docker does for `--user`.
    fn resolve(&self, owner: &str) -> Result<(u64, u64), HostError> {
        let (user, group) = match owner.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (owner, None),
        };
        let field = |line: &str, at: usize| line.split(':').nth(at).map(str::to_owned);
        let number = |line: &str, at: usize| field(line, at)?.parse::<u64>().ok();
        let by_name = |text: &str, name: &str| {
            text.lines().find(|line| field(line, 0).as_deref() == Some(name)).map(str::to_owned)
        };
        let (uid, own_group) = match user.parse::<u64>() {
            Ok(uid) => {
                let line = self.passwd.lines().find(|line| number(line, 2) == Some(uid));
                (uid, line.and_then(|line| number(line, 3)).unwrap_or(0))
            }
            Err(_) => {
                let line =
                    by_name(&self.passwd, user).ok_or_else(|| unknown(OwnerKind::User, user))?;
                let uid = number(&line, 2).ok_or_else(|| unknown(OwnerKind::User, user))?;
                (uid, number(&line, 3).unwrap_or(0))
            }
        };
        let gid = match group.map(|group| (group, group.parse::<u64>())) {
            None => own_group,
            Some((_, Ok(gid))) => gid,
            Some((name, Err(_))) => by_name(&self.group, name)
                .and_then(|line| number(&line, 2))
                .ok_or_else(|| unknown(OwnerKind::Group, name))?,
        };
        Ok((uid, gid))
    }
}

fn unknown(kind: OwnerKind, name: &str) -> HostError {
    HostError::UnknownOwner { kind, name: name.to_owned() }
}

/// Returns the archive that writes files, their record, or both in one call. The daemon creates missing parent folders;
/// an archive that contained them would change existing ones.
pub(crate) fn archive(
    files: &[FileToWrite],
    part: FilesPart,
    names: &UserNames,
) -> Result<Vec<u8>, HostError> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files.iter().filter(|_| part != FilesPart::Record) {
        let (uid, gid) = names.resolve(&file.owner)?;
        match file.keyed {
            Some(_) => link(&mut builder, &file.path)?,
            None => append(&mut builder, &file.path, &file.content, file.mode, (uid, gid))?,
        }
    }
    finish(builder, files, part, FILES_RECORD)
}

/// Returns the archive that writes files with secrets into the folder in memory.
pub(crate) fn secrets_archive(
    files: &[FileToWrite],
    part: FilesPart,
    names: &UserNames,
) -> Result<Vec<u8>, HostError> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files.iter().filter(|_| part != FilesPart::Record) {
        let owner = names.resolve(&file.owner)?;
        append(&mut builder, &format!("files{}", file.path), &file.content, file.mode, owner)?;
    }
    finish(builder, files, part, "record.json")
}

/// Completes the archive, with the record at `path` when it is part of the archive.
fn finish(
    mut builder: tar::Builder<Vec<u8>>,
    files: &[FileToWrite],
    part: FilesPart,
    path: &str,
) -> Result<Vec<u8>, HostError> {
    if part != FilesPart::Contents {
        let record = serde_json::to_vec(&record(files)).map_err(|error| broken(&error))?;
        append(&mut builder, path, &record, 0o444, (0, 0))?;
    }
    builder.into_inner().map_err(|error| broken(&error))
}

/// Adds a link from a path of the container to the file in memory.
fn link(builder: &mut tar::Builder<Vec<u8>>, path: &str) -> Result<(), HostError> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_mode(0o777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    let to = format!("{SECRETS_FILES}{path}");
    builder
        .append_link(&mut header, path.trim_start_matches('/'), to)
        .map_err(|error| broken(&error))
}

fn append(
    builder: &mut tar::Builder<Vec<u8>>,
    path: &str,
    content: &[u8],
    mode: u32,
    (uid, gid): (u64, u64),
) -> Result<(), HostError> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_size(content.len() as u64);
    builder
        .append_data(&mut header, path.trim_start_matches('/'), content)
        .map_err(|error| broken(&error))
}

fn broken(error: &dyn std::fmt::Display) -> HostError {
    HostError::Archive { content: "files", reason: error.to_string() }
}

/// Returns the first regular file of an archive that Docker returned for a path of a container.
pub(crate) fn first_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().ok()? {
        let entry = entry.ok()?;
        if entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            entry.take(READ_CAP_BYTES as u64).read_to_end(&mut bytes).ok()?;
            return Some(bytes);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, owner: &str) -> FileToWrite {
        FileToWrite {
            path: path.into(),
            content: b"hi".to_vec(),
            mode: 0o640,
            owner: owner.into(),
            keyed: None,
        }
    }

    #[test]
    fn owners_are_resolved_by_the_containers_own_database() {
        let names = UserNames {
            passwd: "root:x:0:0::/:/bin/sh\nredis:x:101:102::/:/bin/sh\n".into(),
            group: "root:x:0:\ndata:x:33:\n".into(),
        };
        for (owner, expected) in [
            ("0", Some((0, 0))),
            ("redis", Some((101, 102))),
            ("101", Some((101, 102))),
            ("5000", Some((5000, 0))),
            ("redis:data", Some((101, 33))),
            ("7:8", Some((7, 8))),
            ("nobody", None),
            ("root:nogroup", None),
        ] {
            assert_eq!(names.resolve(owner).ok(), expected, "{owner}");
        }
        assert!(needs_names(&[file("/a", "0"), file("/b", "redis")]));
        assert!(!needs_names(&[file("/a", "0"), file("/b", "1:2")]));
    }

    #[test]
    fn what_is_written_is_what_the_record_says() {
        let files = [file("/etc/app/a.conf", "7:8")];
        let bytes = archive(&files, FilesPart::All, &UserNames::default()).unwrap_or_default();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().into_iter().flatten().flatten() {
            let header = entry.header();
            let path = entry.path().map(|path| path.display().to_string()).unwrap_or_default();
            seen.push((path, header.mode().ok(), header.uid().ok(), header.gid().ok()));
        }
        assert_eq!(
            seen,
            [
                ("etc/app/a.conf".to_owned(), Some(0o640), Some(7), Some(8)),
                (".tally/files.json".to_owned(), Some(0o444), Some(0), Some(0)),
            ],
        );
        assert_eq!(first_file(&bytes).as_deref(), Some(b"hi".as_slice()));
        let json = serde_json::to_vec(&record(&files)).unwrap_or_default();
        assert_eq!(parse_record(&json), Some(record(&files)));
    }
}
