//! The host's root, for an agent in a container: its own mount namespace shows it the image, and what is to be seen are the
//! host's files.

use std::io;
use std::path::Path;

use super::Failure;

/// Makes a directory the root of this process, before anything else is read: all paths from here on are below it, those of
/// the config among them. What the container mounts below that directory is there; the rest of the container is not.
///
/// # Errors
/// Where there is no such directory, or this process may not.
pub fn enter(root: &Path) -> Result<(), Failure> {
    let Err(error) = nix::unistd::chroot(root).and_then(|()| nix::unistd::chdir("/")) else { return Ok(()) };
    let error = if error == nix::errno::Errno::EPERM {
        io::Error::other("not permitted: it takes CAP_SYS_CHROOT")
    } else {
        error.into()
    };
    Err(Failure::System { what: format!("enter the root {}", root.display()), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_not_there_is_named() {
        let failure = enter(Path::new("/no/such/root")).unwrap_err();
        // Who may not change roots is told that first.
        let told = failure.to_string();
        assert!(told.starts_with("enter the root /no/such/root: "), "{told}");
        assert_eq!(failure.code(), 19);
    }
}
