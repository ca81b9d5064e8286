//! Which file a path leads to, and whether its file system can carry a write-ahead log.
//!
//! Only metadata is asked for: opening and closing a database file drops the POSIX locks that SQLite holds on it.

use std::path::Path;

use crate::error::{Error, ErrorCode, Result};

/// The device and inode of a file: two paths with the same identity are one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Reads the identity of the file at `path`, following symbolic links, without opening it.
    ///
    /// Returns `None` where the system gives files no identity.
    ///
    /// # Errors
    /// The system's, when the file is not there or may not be seen.
    #[cfg(unix)]
    pub fn of(path: &Path) -> std::io::Result<Option<Self>> {
        use std::os::unix::fs::MetadataExt as _;
        if let Some(identity) = Self::alone(path) {
            return Ok(Some(identity));
        }
        let metadata = std::fs::metadata(path)?;
        Ok(Some(Self { device: metadata.dev(), inode: metadata.ino() }))
    }

    /// Reads the identity and nothing else, if that is possible.
    ///
    /// Whoever asks Linux for the times of a file has it tell the next write apart from the last one, however soon it comes: that changes
    /// the file's inode, and an `fsync` waits for the disk once more to write it. The log is looked at after every commit:
    /// <https://docs.kernel.org/filesystems/multigrain-ts.html>.
    #[cfg(target_os = "linux")]
    fn alone(path: &Path) -> Option<Self> {
        let found = ask(path, rustix::fs::StatxFlags::INO)?;
        let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        Some(Self { device, inode: found.stx_ino })
    }

    #[cfg(all(unix, not(target_os = "linux")))]
    fn alone(_path: &Path) -> Option<Self> {
        None
    }

    /// Returns `None`: this system gives files no identity through its standard library.
    ///
    /// # Errors
    /// The system's, when the file is not there or may not be seen.
    #[cfg(not(unix))]
    pub fn of(path: &Path) -> std::io::Result<Option<Self>> {
        std::fs::metadata(path).map(|_| None)
    }
}

/// Asks for some of what is known of a file, and for nothing else: see [`FileIdentity`].
#[cfg(target_os = "linux")]
fn ask(path: &Path, what: rustix::fs::StatxFlags) -> Option<rustix::fs::Statx> {
    rustix::fs::statx(rustix::fs::CWD, path, rustix::fs::AtFlags::empty(), what).ok()
}

/// Returns the size of the file at `path`, in bytes; 0 when it is not there.
pub(crate) fn file_size(path: &Path) -> u64 {
    #[cfg(target_os = "linux")]
    if let Some(found) = ask(path, rustix::fs::StatxFlags::SIZE) {
        return found.stx_size;
    }
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Returns how many names the file at `path` has; 1 when it is not there.
#[cfg(unix)]
pub(crate) fn hard_links(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).map_or(1, |metadata| metadata.nlink())
}

/// Returns 1: this system does not tell through its standard library.
#[cfg(not(unix))]
pub(crate) fn hard_links(_path: &Path) -> u64 {
    1
}

/// A file system whose files live on another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFileSystem {
    /// NFS, any version.
    Nfs,
    /// SMB or CIFS.
    Smb,
    /// The Plan 9 protocol, as used between a virtual machine and its host.
    Plan9,
}

impl NetworkFileSystem {
    /// Names the file system of a Linux `statfs` magic number, if it is one of the network.
    ///
    /// FUSE is not among them: it has one number for local and remote file systems alike.
    #[must_use]
    pub fn from_magic(magic: u32) -> Option<Self> {
        match magic {
            0x6969 => Some(Self::Nfs),
            0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some(Self::Smb),
            0x0102_1997 => Some(Self::Plan9),
            _ => None,
        }
    }

    /// Returns its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nfs => "NFS",
            Self::Smb => "SMB/CIFS",
            Self::Plan9 => "9p",
        }
    }

    /// Returns the network file system that holds `path`, or would hold it if it were created.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn holding(path: &Path) -> Option<Self> {
        let stat = rustix::fs::statfs(path).or_else(|_| rustix::fs::statfs(path.parent().unwrap_or(path))).ok()?;
        // The kernel's field is a machine word, sign-extended on some; the magic numbers are its low 32 bits.
        let bits = i128::from(stat.f_type) & i128::from(u32::MAX);
        u32::try_from(bits).ok().and_then(Self::from_magic)
    }

    /// Returns `None`: only Linux tells file systems by a number.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn holding(_path: &Path) -> Option<Self> {
        None
    }
}

/// Refuses a path with a symbolic link in it, and says which part is one. Where a link comes later, SQLite refuses it.
///
/// # Errors
/// `SQLITE_CANTOPEN_SYMLINK`.
pub fn require_no_link(path: &Path) -> Result<()> {
    let is_link = |part: &&Path| part.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    path.ancestors().find(is_link).map_or(Ok(()), |link| {
        let message =
            format!("cannot open {}: {} is a symbolic link, and followLinks is false", path.display(), link.display());
        let error = Error::new(ErrorCode::Sqlite, message);
        Err(Error { extended_code: Some(rusqlite::ffi::SQLITE_CANTOPEN_SYMLINK), ..error })
    })
}

/// Refuses a write-ahead log at `path` when its file system cannot share memory between machines.
///
/// # Errors
/// [`ErrorCode::NetworkFileSystem`], naming the file system.
pub fn require_local_file_system(path: &Path) -> Result<()> {
    NetworkFileSystem::holding(path).map_or(Ok(()), |file_system| Err(refusal(path, file_system)))
}

/// Says that the file system is the cause, where an error of opening is one of shared memory or of locks that it does not have.
pub(super) fn explain_file_system(path: &Path, error: Error) -> Error {
    use rusqlite::ffi::{SQLITE_IOERR_LOCK, SQLITE_IOERR_RDLOCK, SQLITE_IOERR_SHMLOCK, SQLITE_IOERR_SHMMAP};
    let (what, advice) = match error.extended_code {
        Some(SQLITE_IOERR_SHMMAP | SQLITE_IOERR_SHMLOCK) => {
            ("shared memory", "use a local disk, or concurrency: 'exclusive'")
        }
        Some(SQLITE_IOERR_LOCK | SQLITE_IOERR_RDLOCK) => ("locks", "use a local disk"),
        Some(_) | None => return error,
    };
    let path = path.display();
    Error::new(
        ErrorCode::NetworkFileSystem,
        format!("{path} is on a file system without the {what} that SQLite needs; {advice}"),
    )
}

fn refusal(path: &Path, file_system: NetworkFileSystem) -> Error {
    Error::new(
        ErrorCode::NetworkFileSystem,
        format!(
            "{} is on {}, where the write-ahead log of SQLite does not work; use a local disk, or concurrency: 'exclusive'",
            path.display(),
            file_system.name()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_by_their_magic_number() {
        assert_eq!(NetworkFileSystem::from_magic(0x6969), Some(NetworkFileSystem::Nfs));
        assert_eq!(NetworkFileSystem::from_magic(0xff53_4d42), Some(NetworkFileSystem::Smb));
        assert_eq!(NetworkFileSystem::from_magic(0xfe53_4d42), Some(NetworkFileSystem::Smb));
        assert_eq!(NetworkFileSystem::from_magic(0x517b), Some(NetworkFileSystem::Smb));
        assert_eq!(NetworkFileSystem::from_magic(0x0102_1997), Some(NetworkFileSystem::Plan9));
    }

    #[test]
    fn local_file_systems_are_not_refused() {
        for ext4_xfs_btrfs_tmpfs_overlay in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(NetworkFileSystem::from_magic(ext4_xfs_btrfs_tmpfs_overlay), None);
        }
    }

    #[test]
    fn the_refusal_names_the_path_and_the_cause() {
        let error = refusal(Path::new("/mnt/share/app.db"), NetworkFileSystem::Nfs);
        assert_eq!(error.code, ErrorCode::NetworkFileSystem);
        assert!(error.message.contains("/mnt/share/app.db") && error.message.contains("NFS"), "{}", error.message);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_has_the_identity_of_its_target() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("a.db"), folder.path().join("b.db"));
        std::fs::write(&file, b"").expect("write");
        std::os::unix::fs::symlink(&file, &link).expect("link");
        let identity = FileIdentity::of(&file).expect("metadata");
        assert!(identity.is_some());
        assert_eq!(identity, FileIdentity::of(&link).expect("metadata"));
        assert!(FileIdentity::of(&folder.path().join("missing.db")).is_err());
    }
}
