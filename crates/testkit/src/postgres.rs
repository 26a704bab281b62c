//! A server of PostgreSQL for tests: Debian's, in a temporary folder, one for all tests of a run.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process, thread};

use crate::skipped;

/// Who owns the databases.
const USER: &str = "firstlight";

/// A server that runs as long as the tests do.
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
}

/// The server of this run of tests, started where it is not; where the machine has none, the test counts as [`skipped`].
pub fn postgres() -> Option<Postgres> {
    let Some(programs) = programs() else {
        skipped("no PostgreSQL (install postgresql)");
        return None;
    };
    // Tests of one run may be many processes: what started them names the run, and ends it.
    let (name, lives) = match env::var("NEXTEST_RUN_ID") {
        Ok(run) => {
            (run.chars().filter(char::is_ascii_hexdigit).take(12).collect(), std::os::unix::process::parent_id())
        }
        Err(_) => (process::id().to_string(), process::id()),
    };
    let folder = env::temp_dir().join(format!("flpg-{name}"));
    let server = Postgres { folder, programs };
    fs::create_dir_all(&server.folder).expect("a folder for the database can be made");
    let lock = File::create(server.folder.join("lock")).expect("its lock can be made");
    lock.lock().expect("its lock can be had");
    if !server.folder.join("runs").exists() {
        server.start(lives);
        fs::write(server.folder.join("runs"), "").expect("what was started can be noted");
    }
    Some(server)
}

/// Where the programs of the newest version are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let number = |path: &PathBuf| -> u32 {
        let name = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse().ok());
        name.unwrap_or(0)
    };
    let fits = |path: &PathBuf| path.join("initdb").is_file() && number(path) >= 15;
    versions.filter(fits).max_by_key(number)
}

impl Postgres {
    /// The address of a new, empty database.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE DATABASE {name}"));
        let host = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{host}/{name}")
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Runs a statement beside what is tested, in the database at this address; returns what it printed.
    pub fn run_in(&self, address: &str, sql: &str) -> String {
        self.psql(address.rsplit('/').next().unwrap_or_default(), sql)
    }

    fn run(&self, sql: &str) -> String {
        self.psql("postgres", sql)
    }

    fn psql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.arg("-h").arg(&self.folder).args([
            "-U",
            USER,
            "-d",
            database,
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]);
        let done = psql.output().expect("psql runs");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Makes the database and starts it. It ends, and its folder goes, soon after the process that it lives for.
    fn start(&self, lives: u32) {
        let (data, log) = (self.folder.join("data"), self.folder.join("log"));
        self.be_owned_by_another_than_root();
        let mut made = self.as_owner("initdb");
        made.arg("-D").arg(&data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]);
        // Not the order of bytes: what is in that order must say so itself.
        made.args(["--locale-provider=icu", "--icu-locale=en"]);
        finished(made);
        let mut started = self.as_owner("pg_ctl");
        let socket = self.folder.display();
        let options = format!(
            "-c fsync=off -c full_page_writes=off -c listen_addresses='' -c unix_socket_directories='{socket}' \
             -c max_connections=300 -c shared_buffers=32MB -c log_min_messages=fatal"
        );
        started.arg("-D").arg(&data).arg("-l").arg(&log).args(["-w", "-o", &options, "start"]);
        finished(started);
        let mut stop = self.as_owner("pg_ctl");
        stop.arg("-D").arg(&data).args(["-m", "immediate", "stop"]);
        let words: Vec<String> = std::iter::once(stop.get_program())
            .chain(stop.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let watch = format!(
            "while kill -0 {lives} 2>/dev/null; do sleep 1; done; {}; rm -rf '{}'",
            words.join(" "),
            self.folder.display()
        );
        let mut watcher = Command::new("setsid");
        watcher.args(["sh", "-c", &watch]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut watcher = watcher.spawn().expect("who ends the server can be started");
        thread::spawn(move || watcher.wait());
    }

    /// A program of the server. It does not run as root: then it runs as `postgres`.
    fn as_owner(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    }

    fn be_owned_by_another_than_root(&self) {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let of_postgres =
            users.lines().find_map(|line| line.strip_prefix("postgres:")?.split(':').nth(1)?.parse().ok());
        if let Some(user) = of_postgres.filter(|_| is_root()) {
            chown(&self.folder, Some(user), None).expect("its folder can be given to postgres");
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn finished(mut command: Command) {
    // The server that is started keeps what it inherits: no pipe, or nobody would see its end.
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let done = done.expect("a program of PostgreSQL runs");
    assert!(done.success(), "{command:?}: {done}");
}
