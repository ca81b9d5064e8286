//! One manager per file and process: whoever opens a file that is open shares the connections that are there.
//!
//! A file is known by its device and inode, so that any name for it leads to the same manager. Two kinds of opens have a manager of
//! their own beside it, because their connections are others: those without the right to write, and those by a URI, whose parameters
//! may change what SQLite does with the file. They meet the first as another process would.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::member::Member;
use super::{Options, Shared, writer};
use crate::connection::{FileIdentity, Location, names_uri, require_no_link};
use crate::error::Result;
use crate::trace;

/// Which opens share a manager.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    file: Known,
    readonly: bool,
    uri: Option<PathBuf>,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Known {
    Is(FileIdentity),
    /// There is none yet, or the system gives files no identity: its name, with the symbolic links of its folder followed.
    Named(PathBuf),
}

#[derive(Debug)]
enum Slot {
    /// Somebody is opening it. The sender is dropped when that is over.
    Opening(watch::Receiver<()>),
    Open(Weak<Shared>),
}

static MANAGERS: LazyLock<Mutex<HashMap<Key, Slot>>> = LazyLock::new(Mutex::default);

/// What was found under a key.
enum Found {
    Nobody(Claim),
    Opening(watch::Receiver<()>),
    Open(Arc<Shared>),
}

/// The right to open a file, while others wait. Dropping it leaves the file to them.
struct Claim {
    key: Key,
    _opening: watch::Sender<()>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut managers = MANAGERS.lock();
        if let Some(Slot::Opening(_)) = managers.get(&self.key) {
            managers.remove(&self.key);
        }
    }
}

/// Opens the database at `location`, or joins those who have it open.
///
/// # Errors
/// Those of opening; [`ErrorCode::InvalidOption`](crate::ErrorCode::InvalidOption) where it is open with other options.
pub(super) async fn open(location: Location, options: Options) -> Result<(Arc<Shared>, Member)> {
    let path = match &location {
        Location::Memory(_) => {
            let shared = writer::open(location, options).await?;
            let member = Member::first(&shared);
            return Ok((shared, member));
        }
        Location::File(path) => path.clone(),
    };
    if !options.follow_links && !is_uri(&path, &options) {
        // Whoever joins others opens nothing, and would not be refused by SQLite.
        require_no_link(&path)?;
    }
    loop {
        match find(key_of(&path, &options)) {
            Found::Opening(mut opening) => drop(opening.changed().await),
            Found::Open(shared) if !shared.is_closing() && shared.lost().is_some() => match shared.lost() {
                // SQLite would share what they know of the file with connections that are opened now.
                Some(error) if shared.has_connections() => return Err(error),
                // Its file is gone, and this may be another one, to which the system gave the same number.
                Some(_) | None => forget(&shared),
            },
            Found::Open(shared) => match Member::join(&shared) {
                Some(member) => {
                    shared.options.expect_agreement(&options)?;
                    return Ok((shared, member));
                }
                // Its last handle has been closed: the file is opened anew when that is done.
                None => drop(shared.closed().await),
            },
            Found::Nobody(claim) => return claim.open(location, options).await,
        }
    }
}

fn is_uri(path: &Path, options: &Options) -> bool {
    options.uri && names_uri(path)
}

fn key_of(path: &Path, options: &Options) -> Key {
    Key { file: known(path), readonly: options.readonly, uri: is_uri(path, options).then(|| path.to_owned()) }
}

fn known(path: &Path) -> Known {
    match FileIdentity::of(path) {
        Ok(Some(identity)) => Known::Is(identity),
        Ok(None) => Known::Named(path.canonicalize().unwrap_or_else(|_| path.to_owned())),
        Err(_) => Known::Named(in_real_folder(path)),
    }
}

/// The name that a file to be made will have.
fn in_real_folder(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        (None, _) | (_, None) => path.to_owned(),
    }
}

/// Returns what the events call the file at `path`, under whichever names it is open: most often one, or none.
pub(super) fn names_in_events(path: &Path) -> Vec<String> {
    let file = known(path);
    let open: Vec<_> = {
        let managers = MANAGERS.lock();
        let of_file = managers.iter().filter(|(key, _)| key.file == file);
        let open = of_file.filter_map(|(_, slot)| match slot {
            Slot::Opening(_) => None,
            Slot::Open(shared) => shared.upgrade(),
        });
        open.collect()
    };
    open.iter().map(|shared| trace::name(shared.location()).into_owned()).collect()
}

/// Lets others open what `shared` is not any more.
fn forget(shared: &Arc<Shared>) {
    MANAGERS.lock().retain(|_, slot| match slot {
        Slot::Opening(_) => true,
        Slot::Open(known) => !std::ptr::eq(known.as_ptr(), Arc::as_ptr(shared)),
    });
}

fn find(key: Key) -> Found {
    let mut managers = MANAGERS.lock();
    match managers.get(&key) {
        Some(Slot::Opening(opening)) => return Found::Opening(opening.clone()),
        Some(Slot::Open(shared)) => {
            if let Some(shared) = shared.upgrade().filter(|shared| !shared.is_closed()) {
                return Found::Open(shared);
            }
        }
        None => {}
    }
    let (sender, opening) = watch::channel(());
    managers.insert(key.clone(), Slot::Opening(opening));
    Found::Nobody(Claim { key, _opening: sender })
}

impl Claim {
    async fn open(self, location: Location, options: Options) -> Result<(Arc<Shared>, Member)> {
        let shared = writer::open(location, options).await?;
        let member = Member::first(&shared);
        let key = Key { file: self.now_known(&shared), ..self.key.clone() };
        let earlier = {
            let mut managers = MANAGERS.lock();
            managers.retain(|_, slot| match slot {
                Slot::Opening(_) => true,
                Slot::Open(shared) => shared.strong_count() > 0,
            });
            let earlier = match managers.get(&key) {
                Some(Slot::Open(earlier)) => {
                    earlier.upgrade().and_then(|shared| Member::join(&shared).map(|member| (shared, member)))
                }
                Some(Slot::Opening(_)) | None => None,
            };
            if earlier.is_none() {
                managers.insert(key, Slot::Open(Arc::downgrade(&shared)));
            }
            earlier
        };
        let Some((earlier, joined)) = earlier else { return Ok((shared, member)) };
        // Two names of a file that neither had, by a symbolic link to nothing: whoever was first is joined.
        drop(member);
        drop(shared.closed().await);
        earlier.options.expect_agreement(&shared.options)?;
        Ok((earlier, joined))
    }

    /// What the file is known by now that it is there.
    fn now_known(&self, shared: &Shared) -> Known {
        shared.identity().map_or_else(|| self.key.file.clone(), Known::Is)
    }
}
