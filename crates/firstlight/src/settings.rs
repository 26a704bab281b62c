//! Settings: flags over `FIRSTLIGHT_*` over `firstlight.toml` over what is built in.
//!
//! Flags and variables arrive merged in [`args`](crate::args); this fills what both leave open.

use crate::args::{ConvertFlags, Layout, ServeFlags};
use crate::failure::Failure;
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The settings file. A name that is not known is an error, so that a typing mistake is not silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub policy: Option<String>,
    layout: Option<Layout>,
    report: Option<PathBuf>,
    jobs: Option<NonZeroUsize>,
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
    viewer: Option<PathBuf>,
    web: Option<PathBuf>,
    allowed_origins: Vec<String>,
    allowed_hosts: Vec<String>,
    strict_accept: bool,
    public_url: Option<String>,
}

/// What `convert` works with.
#[derive(Debug)]
pub struct Convert {
    pub sources: Vec<PathBuf>,
    pub destination: PathBuf,
    pub policy: String,
    pub layout: Layout,
    pub report: Option<PathBuf>,
    pub jobs: usize,
    pub dry_run: bool,
    pub quiet: bool,
}

/// What `serve` works with.
#[derive(Debug)]
pub struct Serve {
    pub data: PathBuf,
    pub import: Vec<PathBuf>,
    pub listen: SocketAddr,
    pub viewer: Option<PathBuf>,
    pub web: Option<PathBuf>,
    pub policy: String,
    pub jobs: usize,
    pub allowed_origins: Vec<String>,
    pub allowed_hosts: Vec<String>,
    pub strict_accept: bool,
    pub public_url: Option<String>,
    pub convert: bool,
}

impl File {
    /// Reads the named file, or `firstlight.toml` of the current folder if it is there.
    pub fn load(named: Option<&Path>) -> Result<File, Failure> {
        let path = named.unwrap_or(Path::new("firstlight.toml"));
        match std::fs::read_to_string(path) {
            Ok(text) => parse(&text, path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(File::default()),
            Err(e) => Err(Failure::io("read", path, &e)),
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<File, Failure> {
    toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let first = e.message().lines().next().unwrap_or("not valid");
        Failure::new(format!("{} line {line}: {first}", path.display()))
            .hint("docs/configuration.md lists every setting")
    })
}

/// Completes the flags of `convert`.
pub fn convert(flags: ConvertFlags, file: File) -> Result<Convert, Failure> {
    Ok(Convert {
        sources: flags.sources,
        destination: flags.destination,
        policy: flags.policy.or(file.policy).unwrap_or_else(default_policy),
        layout: flags.layout.or(file.layout).unwrap_or(Layout::Mirror),
        report: flags.report.or(file.report),
        jobs: jobs(flags.jobs.or(file.jobs)),
        dry_run: flags.dry_run,
        quiet: flags.quiet,
    })
}

/// Completes the flags of `serve`.
pub fn serve(flags: ServeFlags, file: File) -> Result<Serve, Failure> {
    let data = flags.data.or(file.data);
    Ok(Serve {
        data: data.ok_or_else(|| {
            Failure::new("serve needs the folder of the archive").hint("say --data DIR; it is made if it is not there")
        })?,
        import: flags.import,
        listen: flags.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8042))),
        viewer: flags.viewer.or(file.viewer),
        web: flags.web.or(file.web),
        policy: flags.policy.or(file.policy).unwrap_or_else(default_policy),
        jobs: jobs(flags.jobs.or(file.jobs)),
        allowed_origins: or(flags.allowed_origins, file.allowed_origins),
        allowed_hosts: or(flags.allowed_hosts, file.allowed_hosts),
        strict_accept: flags.strict_accept || file.strict_accept,
        public_url: flags.public_url.or(file.public_url),
        convert: !flags.no_convert,
    })
}

/// The policy used when none is named.
pub fn default_policy() -> String {
    "default".to_owned()
}

fn or(flags: Vec<String>, file: Vec<String>) -> Vec<String> {
    if flags.is_empty() { file } else { flags }
}

fn jobs(wanted: Option<NonZeroUsize>) -> usize {
    wanted.map_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get), NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_an_error_with_its_line() {
        let failure = parse("jobs = 2\njbos = 3\n", Path::new("f.toml")).unwrap_err();
        assert!(format!("{failure:?}").contains("f.toml line 2: unknown field `jbos`"), "{failure:?}");
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = || parse("jobs = 2\nlayout = \"study\"\n", Path::new("f.toml")).unwrap();
        let flags = |jobs| ConvertFlags {
            sources: vec![],
            destination: "d".into(),
            policy: None,
            layout: None,
            report: None,
            jobs,
            dry_run: false,
            quiet: false,
        };
        assert_eq!(convert(flags(None), file()).unwrap().jobs, 2);
        let set = convert(flags(NonZeroUsize::new(5)), file()).unwrap();
        assert_eq!((set.jobs, set.layout), (5, Layout::Study));
    }
}
