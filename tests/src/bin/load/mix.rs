//! What hosts do all day, by the programs that do it: `tree-walk` (find), `archive` (tar), `compile` (gcc and ld), and two
//! servers with a load: `redis-service`, `nginx-service`. They are those of Debian, in the guest that is measured.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Step;

/// A server that has started answers within that.
const PATIENCE: Duration = Duration::from_secs(60);
/// The guest's first process has none, and a compiler finds its parts by it.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const REDIS: u16 = 6_379;
const NGINX: u16 = 8_080;

/// A step of that work; `None` where it is none of these.
pub(super) fn step(work: &str, directory: &Path) -> Result<Option<Step>> {
    let at = directory.display();
    let shell =
        |line: String| -> Step { Box::new(move |_| run(Command::new("/bin/sh").args(["-c", &line]))) };
    Ok(Some(match work {
        "tree-walk" => shell("find /usr /etc -xdev -type f -size +1k > /dev/null".to_owned()),
        "archive" => {
            let tree = directory.join("tree");
            let what = if tree.exists() { tree.display().to_string() } else { "/etc /usr/share".to_owned() };
            // Into memory: what is written to a disk goes there later.
            let archive = std::env::temp_dir().join("archive.tar");
            shell(format!("tar -cPf {} {what}", archive.display()))
        }
        "compile" => {
            sources(directory)?;
            shell(format!(
                "cd {at} && for one in 0 1 2; do gcc -O1 -c $one.c -o $one.o; done && gcc *.o -o compiled"
            ))
        }
        "redis-service" => {
            let mut server = Command::new("redis-server");
            server.args(["--save", "", "--port", &REDIS.to_string()]);
            let load = format!("redis-benchmark -p {REDIS} -n 1500 -c 10 -t set,get -q > /dev/null");
            served(&mut server, REDIS, load)?
        }
        "nginx-service" => {
            let config = directory.join("nginx.conf");
            fs::write(&config, nginx(directory))?;
            fs::write(directory.join("page"), "x".repeat(4_096))?;
            let mut server = Command::new("nginx");
            server.args(["-g", "daemon off;", "-c"]).arg(config);
            served(
                &mut server,
                NGINX,
                format!("ab -q -n 300 -c 4 http://127.0.0.1:{NGINX}/page > /dev/null"),
            )?
        }
        _ => return Ok(None),
    }))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.env("PATH", PATH).status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Three files that know each other.
fn sources(directory: &Path) -> Result<()> {
    for one in 0..3 {
        let next = (one + 1) % 3;
        let main = if one == 0 { "int main(void) { printf(\"%d\\n\", f0(3)); return 0; }\n" } else { "" };
        let text = format!(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f{next}(int);\n\
             int f{one}(int n) {{ return n > 0 ? f{next}(n - 1) + (int)strlen(\"{one}\") : abs(n); }}\n{main}"
        );
        fs::write(directory.join(format!("{one}.c")), text)?;
    }
    Ok(())
}

fn nginx(directory: &Path) -> String {
    let at = directory.display();
    format!(
        "user root;\nworker_processes 1;\npid {at}/nginx.pid;\nerror_log {at}/nginx.error;\nevents {{}}\n\
         http {{ access_log {at}/nginx.access; server {{ listen 127.0.0.1:{NGINX}; root {at}; }} }}\n"
    )
}

/// One that is ended with whoever has it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        // As its service manager would, so that it ends its workers.
        let pid = i32::try_from(self.0.id()).map(nix::unistd::Pid::from_raw);
        let ended = pid.map_err(anyhow::Error::from).and_then(|pid| {
            kill(pid, Signal::SIGTERM)?;
            Ok(self.0.wait()?)
        });
        if let Err(error) = ended {
            eprintln!("a server is not ended: {error}");
        }
    }
}

/// A load for a server that answers by then.
fn served(server: &mut Command, port: u16, load: String) -> Result<Step> {
    let server = Server(
        server.env("PATH", PATH).stdout(Stdio::null()).spawn().with_context(|| format!("{server:?}"))?,
    );
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let begun = Instant::now();
    while let Err(error) = TcpStream::connect(address) {
        if begun.elapsed() > PATIENCE {
            bail!("nobody answers at {address}: {error}");
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(Box::new(move |_| {
        // It lives as long as its load is asked for.
        let Server(_) = &server;
        run(Command::new("/bin/sh").args(["-c", &load]))
    }))
}
