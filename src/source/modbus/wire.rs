//! The bytes of a line, which stay ours while tokio-modbus reads them: what comes unasked can be thrown away.
//! The end of a stream is an error that says so, for the library takes it for whatever the last error was.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::source::line::Line;

/// Clones are the same line.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<Counted>>);

struct Counted {
    line: Box<dyn Line>,
    /// Bytes that were handed on since the count began.
    read: usize,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    pub fn new(line: Box<dyn Line>) -> Self {
        Self(Arc::new(Mutex::new(Counted { line, read: 0 })))
    }

    /// Counts from here on.
    pub fn count_from_here(&self) {
        self.counted().read = 0;
    }

    pub fn count(&self) -> usize {
        self.counted().read
    }

    /// Reads until nothing comes for `quiet`, or for `longest` where it does not end. Returns how many bytes that
    /// were. May be cancelled.
    pub async fn drain(&mut self, quiet: Duration, longest: Duration) -> io::Result<usize> {
        let end = Instant::now() + longest;
        let mut thrown_away = 0;
        let mut buffer = [0; 256];
        while let Ok(read) = timeout_at(end, timeout(quiet, self.read(&mut buffer))).await {
            match read {
                Ok(count) => thrown_away += count?,
                Err(_) => break,
            }
        }
        Ok(thrown_away)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let mut counted = self.counted();
        let read = ready!(Pin::new(&mut *counted.line).poll_read(cx, buf));
        counted.read += buf.filled().len() - before;
        Poll::Ready(match read {
            Ok(()) if buf.filled().len() == before && buf.remaining() > 0 => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the device closed the connection"))
            }
            other => other,
        })
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.counted().line).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.counted().line).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.counted().line).poll_shutdown(cx)
    }
}
