//! `spoor serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Place, directory, print};
use crate::app::{Failure, serve};
use crate::config::{Listen, is_loopback};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    place: Place,
    /// Where: the path of a socket, or an address of loopback with a port [default: view.sock in the store's directory]
    #[arg(long, value_name = "PATH|ADDRESS", value_parser = listen)]
    listen: Option<Listen>,
    /// A file with the token to ask for, readable by its owner only [default: on loopback, a new one, printed once]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl ServeArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let store = directory(&self.place)?;
        let listen = self.listen.unwrap_or_else(|| Listen::Unix(store.join(serve::FILE)));
        serve::run(&serve::Options { store, listen, token_file: self.token_file }, print)?;
        Ok(0)
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    if text.contains('/') {
        return Ok(Listen::Unix(PathBuf::from(text)));
    }
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "the path of a socket, or an address with a port as in 127.0.0.1:9465".to_owned())?;
    if is_loopback(address.ip()) {
        return Ok(Listen::Tcp(address));
    }
    Err("not of loopback: there is no TLS here; listen on 127.0.0.1 or [::1], and come through ssh"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_is_listened_to() {
        assert_eq!(listen("127.0.0.1:9465"), Ok(Listen::Tcp(([127, 0, 0, 1], 9465).into())));
        assert_eq!(listen("./view.sock"), Ok(Listen::Unix("./view.sock".into())));
        assert!(listen("[::1]:9465").is_ok() && listen("127.9.9.9:1").is_ok());
        for elsewhere in
            ["0.0.0.0:9465", "[::]:9465", "10.0.0.1:9465", "192.168.1.1:80", "[::ffff:10.0.0.1]:1"]
        {
            assert!(listen(elsewhere).unwrap_err().contains("loopback"), "{elsewhere}");
        }
        for wrong in ["", "9465", "localhost:9465", "127.0.0.1"] {
            assert!(listen(wrong).unwrap_err().contains("address with a port"), "{wrong}");
        }
    }
}
