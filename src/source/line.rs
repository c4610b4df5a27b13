//! What bytes of a device go over.

use tokio::io::{AsyncRead, AsyncWrite};

/// A socket, TLS on one, a serial port.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}
