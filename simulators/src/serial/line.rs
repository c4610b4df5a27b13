//! The reader's end of the line: a pseudo-terminal, and the path at which its other end is found.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};

/// Nobody has the other end open.
const HUNG_UP: i32 = rustix::io::Errno::IO.raw_os_error();

/// Two handles on the terminal. They are called pipes: what is asked of them, reading and writing as soon as
/// it is possible, is the same.
#[derive(Debug)]
pub struct Line {
    from_client: Receiver,
    to_client: Sender,
    path: PathBuf,
}

impl Line {
    /// A new terminal behind `path`, in place of whatever stood there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        // No echo and no line editing, also before a client says so.
        let mut modes = tcgetattr(&terminal)?;
        modes.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
        rustix::io::ioctl_fionbio(&terminal, true)?;
        let other_end = ptsname(&terminal, Vec::new())?;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        std::os::unix::fs::symlink(OsStr::from_bytes(other_end.as_bytes()), path)?;
        let to_client = Sender::from_owned_fd_unchecked(terminal.try_clone()?)?;
        let from_client = Receiver::from_owned_fd_unchecked(terminal)?;
        Ok(Self { from_client, to_client, path: path.to_owned() })
    }

    /// `Ok(None)`: nobody has the other end open.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.from_client.read(buffer).await {
            Err(error) if error.raw_os_error() == Some(HUNG_UP) => Ok(None),
            read => read.map(Some),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to_client.write_all(bytes).await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Another reader may have taken the path over; then it is not there, and that is fine.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the path was gone already");
        }
    }
}
