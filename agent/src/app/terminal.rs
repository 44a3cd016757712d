//! How wide the terminal is.
#![expect(unsafe_code, reason = "an ioctl that no wrapper has")]

use std::os::fd::AsRawFd;

nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);

/// Columns of the terminal on standard output; `None` where there is none, or it does not say.
pub(super) fn columns() -> Option<usize> {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize`, which lives here.
    unsafe { window_size(std::io::stdout().as_raw_fd(), &raw mut size) }.ok()?;
    (size.ws_col != 0).then_some(size.ws_col.into())
}
