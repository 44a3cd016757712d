//! The house of an ordinary day: a shop with a web server and a database, its jobs, and who looks after it. Everything is of
//! Debian but the lines that configure it.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::super::SECRET;
use super::super::house::{script, shell};
use super::admin::PROMPT;
use super::{DONE, DUSK, MIDNIGHT};

const PLUGINS: &str = "/usr/lib/nagios/plugins";

/// What is done before systemd is there: accounts, credentials, units, jobs.
///
/// # Errors
/// Where one cannot be made.
pub fn before_boot() -> Result<()> {
    fs::write("/etc/hostname", "shop1\n")?;
    fs::write("/etc/hosts", "127.0.0.1 localhost shop1 shop.test db.test vault.test\n")?;
    for person in ["alice", "vault", "reporter"] {
        shell(&format!("useradd --create-home --shell /bin/bash {person}"))?;
    }
    for account in ["shop", "monitor", "scrape"] {
        shell(&format!(
            "useradd --system --create-home --home-dir /var/lib/{account} --shell /usr/sbin/nologin {account}"
        ))?;
    }
    for directory in ["/srv/day", "/etc/restic", "/etc/shop", "/srv/vault"] {
        fs::create_dir_all(directory)?;
    }
    for program in [DUSK, MIDNIGHT] {
        fs::copy("/usr/bin/true", program)?;
    }
    fs::write("/etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n")?;
    fs::write(
        "/etc/ssh/ssh_config.d/shop.conf",
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\nBatchMode yes\n",
    )?;
    fs::write("/etc/needrestart/conf.d/shop.conf", "$nrconf{restart} = 'l';\n")?;
    credentials()?;
    web()?;
    units(Path::new("/etc/systemd/system"))?;
    jobs()?;
    // auditd looks on only where it is measured beside. The day has its own times.
    shell(
        "systemctl --quiet mask auditd.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
         logrotate.timer fstrim.timer",
    )
}

/// Each with its owner alone.
fn credentials() -> Result<()> {
    let pass = |user: &str| format!("127.0.0.1:5432:shop:{user}:{SECRET}\n");
    let login = |user: &str| format!("machine shop.test login {user} password {SECRET}\n");
    for (owner, path, content) in [
        ("root", "/etc/restic/password", format!("{SECRET}\n")),
        ("root", "/etc/shop/pgpass", pass("shop")),
        ("monitor", "/var/lib/monitor/.pgpass", pass("monitor")),
        ("postgres", "/var/lib/postgresql/.pgpass", pass("dumper")),
        ("alice", "/home/alice/.pgpass", pass("alice")),
        ("scrape", "/var/lib/scrape/.netrc", login("scrape")),
        ("reporter", "/home/reporter/.netrc", login("reporter")),
    ] {
        fs::write(path, content)?;
        shell(&format!("chmod 600 {path} && chown {owner} {path}"))?;
    }
    // That of the administrator lies on another machine, as far as anybody here can see.
    let keys = [("/root/.ssh/id_ed25519", "vault"), ("/srv/day/workstation-key", "alice")];
    fs::create_dir_all("/root/.ssh")?;
    for (key, of) in keys {
        shell(&format!(
            "ssh-keygen -q -t ed25519 -N '' -C {of} -f {key} && install -d -m 700 -o {of} /home/{of}/.ssh && \
             install -m 600 -o {of} {key}.pub /home/{of}/.ssh/authorized_keys"
        ))?;
    }
    fs::write("/root/.ssh/config", "Host vault.test\nUser vault\n")?;
    shell("chmod 700 /root/.ssh && chown vault /srv/vault")
}

fn web() -> Result<()> {
    script(
        "/srv/day/renew",
        "#!/bin/sh\nset -e\n\
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -batch -subj /CN=shop.test \
         -keyout /etc/ssl/private/shop.key.new -out /etc/ssl/certs/shop.pem.new 2> /dev/null\n\
         chmod 600 /etc/ssl/private/shop.key.new\n\
         mv /etc/ssl/private/shop.key.new /etc/ssl/private/shop.key\n\
         mv /etc/ssl/certs/shop.pem.new /etc/ssl/certs/shop.pem\n\
         if systemctl --quiet is-active nginx; then systemctl reload nginx; \
         curl --silent --fail --insecure https://shop.test/ > /dev/null; fi\n",
    )?;
    shell("/srv/day/renew")?;
    shell(&format!(
        "for user in scrape reporter; do printf '%s:%s\\n' $user $(openssl passwd -apr1 {SECRET}); done > /etc/nginx/htpasswd && \
         chgrp www-data /etc/nginx/htpasswd && chmod 640 /etc/nginx/htpasswd"
    ))?;
    let site = "server {\n  listen 127.0.0.1:443 ssl;\n  server_name shop.test;\n\
        \x20 ssl_certificate /etc/ssl/certs/shop.pem;\n  ssl_certificate_key /etc/ssl/private/shop.key;\n\
        \x20 location / { return 200 'shop\\n'; }\n\
        \x20 location /metrics { auth_basic shop; auth_basic_user_file /etc/nginx/htpasswd; proxy_pass http://127.0.0.1:9100; }\n\
        \x20 location /report { auth_basic shop; auth_basic_user_file /etc/nginx/htpasswd; try_files /none =204; }\n}\n\
        server {\n  listen 127.0.0.1:8080;\n  location / { return 200 'ok\\n'; }\n}\n";
    fs::write("/etc/nginx/sites-enabled/default", site)?;
    Ok(())
}

/// A service, and a timer that starts it: once when it is started itself, and again where `every` says so.
fn timed(system: &Path, name: &str, service: &str, every: &str) -> Result<()> {
    let says = format!("ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT >> {DONE}/{name}'\n");
    fs::write(system.join(format!("{name}.service")), format!("[Service]\nType=oneshot\n{service}{says}"))?;
    let timer = format!("[Timer]\nOnActiveSec=1s\nAccuracySec=100ms\n{every}");
    fs::write(system.join(format!("{name}.timer")), timer)?;
    Ok(())
}

fn units(system: &Path) -> Result<()> {
    let restic = "/usr/bin/restic --quiet --password-file /etc/restic/password --repo sftp:vault.test:/srv/vault/shop1";
    let backup = format!(
        "User=root\nExecStart={restic} backup /etc /home /root /var/backups\n\
         ExecStart={restic} forget --keep-last 7 --prune\n"
    );
    timed(system, "backup", &backup, "")?;
    timed(system, "renew", "ExecStart=/srv/day/renew\n", "")?;
    // The first must be well; of the others it is all the same what they find.
    let checks = format!(
        "User=monitor\nExecStart={PLUGINS}/check_pgsql -H 127.0.0.1 -d shop -l monitor\n\
         ExecStart=-{PLUGINS}/check_http -H shop.test -S -p 443\nExecStart=-{PLUGINS}/check_ssh 127.0.0.1\n\
         ExecStart=-{PLUGINS}/check_procs -C nginx -c 1:\nExecStart=-{PLUGINS}/check_disk -w 5% -c 1% -p /\n\
         ExecStart=-{PLUGINS}/check_load -w 20,20,20 -c 40,40,40\n"
    );
    timed(system, "monitor", &checks, "OnUnitActiveSec=30s\n")?;
    let scrapes = "User=scrape\n\
        ExecStart=/usr/bin/curl --silent --fail --insecure --netrc --output /dev/null https://shop.test/metrics\n";
    timed(system, "scrape", scrapes, "OnUnitActiveSec=20s\n")?;
    script(
        "/srv/day/shop",
        "#!/bin/sh\nwhile psql --quiet --host=127.0.0.1 --username=shop --dbname=shop --command='insert into orders default values'\n\
         do sleep 10; done\n",
    )?;
    fs::write(
        system.join("shop.service"),
        "[Service]\nUser=shop\nLoadCredential=pgpass:/etc/shop/pgpass\nEnvironment=PGPASSFILE=%d/pgpass\n\
         ExecStart=/srv/day/shop\nRestart=on-failure\n",
    )?;
    let rotation = system.join("logrotate.service.d");
    fs::create_dir_all(&rotation)?;
    fs::write(
        rotation.join("day.conf"),
        format!(
            "[Service]\nExecStart=\nExecStart=/usr/sbin/logrotate --force /etc/logrotate.conf\n\
             ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT >> {DONE}/rotation'\n"
        ),
    )?;
    Ok(())
}

/// What cron and at do.
fn jobs() -> Result<()> {
    fs::write(
        "/etc/cron.d/dump",
        format!(
            "* * * * * postgres pg_dump --host=127.0.0.1 --username=dumper shop | gzip > /var/lib/postgresql/shop.sql.gz \
             && echo success >> {DONE}/dump\n"
        ),
    )?;
    fs::write("/home/alice/.bashrc", format!("PS1='{PROMPT}'\n"))?;
    script(
        "/srv/day/ask-for-report",
        &format!(
            "#!/bin/sh\necho 'curl --silent --fail --insecure --netrc https://shop.test/report && echo success >> {DONE}/report' | \
             runuser --login reporter --command='at now' 2>&1\n"
        ),
    )?;
    Ok(())
}

/// Makes what needs running servers. The agent comes after.
pub(super) fn start() -> Result<()> {
    shell(&format!("mkdir -m 1777 {DONE}"))?;
    shell("systemctl start postgresql@15-main.service ssh.service nginx.service cron.service atd.service")?;
    let role = |user: &str| format!("create role {user} login password '{SECRET}';");
    let roles: String = ["shop", "monitor", "dumper", "alice"].map(role).concat();
    let sql = format!(
        "{roles} create database shop owner shop;\n\\c shop\ncreate table orders (id serial primary key);\n\
         alter table orders owner to shop; grant pg_read_all_data to dumper, alice;\n"
    );
    fs::write("/run/roles.sql", sql)?;
    shell(
        "cd /; chmod 644 /run/roles.sql; runuser -u postgres -- psql --quiet --file=/run/roles.sql; rm /run/roles.sql",
    )?;
    shell(
        "HOME=/root restic --quiet --password-file /etc/restic/password --repo sftp:vault.test:/srv/vault/shop1 init",
    )?;
    shell("systemctl start shop.service prometheus-node-exporter.service")
}
