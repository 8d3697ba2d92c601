//! Files of Hugging Face's hub, kept in the cache that all of its tools share, and of other addresses beside them.
//!
//! `models--org--name/blobs/<etag>` holds the content, `refs/main` the newest commit, and `snapshots/<commit>/<file>` links to
//! the content, as in huggingface_hub 1.x; `.locks` says who downloads. What comes from elsewhere is `<server>/<file>`. A file that
//! is there is taken without asking the network.

use super::weights::hexadecimal;
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body};

/// Most redirects to a repository's new name.
const MOST_RENAMES: usize = 5;

/// Silence after which a connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cache and where it is filled from.
///
/// | field | default | range |
/// |---|---|---|
/// | `cache` | | a folder, `~/.cache/huggingface/hub` for all tools |
/// | `endpoint` | `https://huggingface.co` | or a mirror |
/// | `token` | none | for repositories that are not public |
/// | `offline` | false | take only what is in the cache |
#[derive(Clone, Debug)]
pub struct Hub {
    /// The folder of the cache.
    pub cache: PathBuf,
    /// The server.
    pub endpoint: String,
    /// Who asks.
    pub token: Option<String>,
    /// Whether only the cache is looked at.
    pub offline: bool,
}

/// What the hub says of a file.
struct Facts {
    /// Of the repository.
    commit: String,
    /// SHA-256 of the content.
    etag: String,
    /// Bytes.
    size: u64,
}

/// A file to download.
struct Wanted<'a> {
    address: &'a str,
    /// Who asks.
    token: Option<&'a str>,
    /// Bytes.
    size: u64,
    /// How the SHA-256 of the content begins.
    sha256: &'a str,
}

impl Hub {
    /// The public hub with its cache in the folder `cache`.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into(), endpoint: "https://huggingface.co".into(), token: None, offline: false }
    }

    /// The path of `file` of `repository` (`org/name`), downloaded if it is not in the cache; what was lost of a broken
    /// download is asked for again. `progress` hears of bytes, those there and all.
    ///
    /// # Errors
    /// [`Error::Hub`]: no connection, no such file, a wrong checksum, no room, or not in the cache while offline.
    pub fn fetch(&self, repository: &str, file: &str, progress: &dyn Fn(u64, u64)) -> Result<PathBuf> {
        let sound = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
        let parts: Vec<&str> = repository.split('/').collect();
        if parts.len() != 2 || !parts.iter().chain([&file]).all(|name| sound(name)) {
            return Err(Error::Invalid(format!("'{repository}' and '{file}' are no repository org/name and file")));
        }
        let folder = self.cache.join(format!("models--{}", parts.join("--")));
        if let Some(path) = cached(&folder, file) {
            return Ok(path);
        }
        let address = format!("{}/{repository}/resolve/main/{file}", self.endpoint);
        if self.offline {
            let why = format!("it is not in '{}'; run once without --offline, or give a file", self.cache.display());
            return Err(Error::Hub { what: format!("{repository}/{file}"), why });
        }
        let agent = agent();
        let facts = self.ask(&agent, &address)?;
        let blob = folder.join("blobs").join(&facts.etag);
        let token = self.token.as_deref();
        let wanted = Wanted { address: &address, token, size: facts.size, sha256: &facts.etag };
        let _alone = self.lock(&blob)?;
        // Another run may have got it meanwhile.
        if !blob.is_file() {
            self.download(&agent, &wanted, &blob, progress)?;
        }
        let snapshot = folder.join("snapshots").join(&facts.commit);
        create_folder(&snapshot)?;
        create_folder(&folder.join("refs"))?;
        let path = snapshot.join(file);
        link(&blob, &facts.etag, &path)?;
        let (main, beside) = (folder.join("refs/main"), folder.join(format!("refs/{}.incomplete", facts.etag)));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(facts.commit.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &main)
        };
        write().map_err(|error| disk(&main, &error))?;
        Ok(path)
    }

    /// The path of the file at `address`, whose SHA-256 begins with `sha256`, as [`Hub::fetch`] has it. Neither endpoint nor
    /// token count.
    ///
    /// # Errors
    /// As [`Hub::fetch`].
    pub fn fetch_url(&self, address: &str, sha256: &str, progress: &dyn Fn(u64, u64)) -> Result<PathBuf> {
        let sound =
            |name: &&str| !name.is_empty() && !name.starts_with('.') && !name.contains(['\\', ':', '?', '#', '%']);
        let rest = address.split_once("://").map_or("", |(_, rest)| rest);
        let server = rest.split('/').next().unwrap_or_default().replace(':', "_");
        let file = rest.rsplit_once('/').map(|(_, file)| file).filter(sound);
        let (Some(file), true) = (file, sound(&server.as_str())) else {
            return Err(Error::Invalid(format!("'{address}' is no address of a file")));
        };
        let path = self.cache.join(server).join(file);
        if path.is_file() {
            return Ok(path);
        }
        if self.offline {
            let why = format!("it is not in '{}'; run once without --offline, or give a file", self.cache.display());
            return Err(Error::Hub { what: address.into(), why });
        }
        let agent = agent();
        let request = agent.head(address).header("Accept-Encoding", "identity");
        let response = request.call().map_err(|error| lost(address, &error))?;
        if response.status().as_u16() >= 400 {
            return Err(refused(address, response.status().as_u16()));
        }
        let size = response.headers().get("content-length").and_then(|size| size.to_str().ok()?.parse().ok());
        let Some(size) = size else {
            let why = "the server does not say how large it is; get it by hand, and give its path".into();
            return Err(Error::Hub { what: address.into(), why });
        };
        let _alone = self.lock(&path)?;
        if !path.is_file() {
            self.download(&agent, &Wanted { address, token: None, size, sha256 }, &path, progress)?;
        }
        Ok(path)
    }

    /// What the hub says of the file, without its content.
    fn ask(&self, agent: &Agent, address: &str) -> Result<Facts> {
        let mut at = address.to_string();
        for _ in 0..MOST_RENAMES {
            let mut request = agent.head(&at).config().max_redirects(0).build();
            // The size is wanted as it is stored.
            request = request.header("Accept-Encoding", "identity");
            if let Some(token) = &self.token {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| lost(&at, &error))?;
            let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
            // A renamed repository answers with its new address on the same server.
            if let Some(renamed) =
                header("location").filter(|l| l.starts_with('/') && header("x-repo-commit").is_none())
            {
                at = format!("{}{renamed}", self.endpoint);
                continue;
            }
            let status = response.status().as_u16();
            if status >= 400 {
                return Err(refused(&at, status));
            }
            let etag = header("x-linked-etag").or(header("etag")).unwrap_or_default();
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_string();
            let size = header("x-linked-size").or(header("content-length")).and_then(|size| size.parse().ok());
            let commit = header("x-repo-commit").unwrap_or_default().to_string();
            // They become names of files. Of what is no large file the checksum would be git's, of 40 digits and of more than the
            // content; weights are large files.
            let is_hash = |text: &str, digits| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
            return match (is_hash(&commit, 40) && is_hash(&etag, 64), size) {
                (true, Some(size)) => Ok(Facts { commit, etag: etag.to_ascii_lowercase(), size }),
                _ => {
                    let why = "the answer has no commit, SHA-256 and size of a large file; is it Hugging Face's hub or a mirror of \
                               it?";
                    Err(Error::Hub { what: at, why: why.into() })
                }
            };
        }
        Err(Error::Hub { what: address.into(), why: "it was renamed too often".into() })
    }

    /// The content into `path`, by way of a file beside it that survives a broken connection.
    fn download(&self, agent: &Agent, wanted: &Wanted<'_>, path: &Path, progress: &dyn Fn(u64, u64)) -> Result<()> {
        create_folder(path.parent().unwrap_or(&self.cache))?;
        let partial = path.with_extension("incomplete");
        let failed = |error: std::io::Error| disk(&partial, &error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&partial).map_err(failed)?;
        let &Wanted { address, size, sha256: expected, .. } = wanted;
        let mut there = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if there > size {
            there = 0;
        }
        if there < size {
            let mut response = get(agent, wanted, there)?;
            // A server that does not know ranges begins again.
            if response.status().as_u16() != 206 {
                there = 0;
            }
            file.set_len(there).and_then(|()| file.seek(SeekFrom::Start(there))).map_err(failed)?;
            let mut body = response.body_mut().as_reader().take(size - there);
            let mut chunk = vec![0; 1 << 16];
            while there < size {
                let read = match body.read(&mut chunk) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    read => read.unwrap_or(0),
                };
                if read == 0 {
                    let why = format!(
                        "the connection ended after {there} of {size} bytes; the same command goes on from there"
                    );
                    return Err(Error::Hub { what: address.into(), why });
                }
                file.write_all(&chunk[..read]).map_err(failed)?;
                there += read as u64;
                progress(there, size);
            }
        }
        file.sync_all().map_err(failed)?;
        if !sha256(&mut file).map_err(failed)?.starts_with(expected) {
            std::fs::remove_file(&partial).map_err(failed)?;
            let why = "its checksum is wrong: something was changed on the way; run again to get it anew";
            return Err(Error::Hub { what: address.into(), why: why.into() });
        }
        std::fs::rename(&partial, path).map_err(|error| disk(path, &error))
    }

    /// Two runs may want the same weights: one waits until the other lets go of this file, which is never removed. File systems
    /// without locks have no protection.
    fn lock(&self, path: &Path) -> Result<File> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // huggingface_hub's place: without `blobs`.
        let inside = path.strip_prefix(&self.cache).ok().and_then(|inside| inside.iter().next()).unwrap_or_default();
        let folder = self.cache.join(".locks").join(inside);
        create_folder(&folder)?;
        let path = folder.join(format!("{name}.lock"));
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| disk(&path, &error))?;
        let _ = file.lock();
        Ok(file)
    }
}

/// The content from byte `from` on.
fn get(agent: &Agent, wanted: &Wanted<'_>, from: u64) -> Result<Response<Body>> {
    let mut request = agent.get(wanted.address).header("Accept-Encoding", "identity");
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    if let Some(token) = wanted.token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let response = request.call().map_err(|error| lost(wanted.address, &error))?;
    match response.status().as_u16() {
        200 | 206 => Ok(response),
        status => Err(refused(wanted.address, status)),
    }
}

fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).timeout_connect(Some(PATIENCE));
    config.timeout_recv_response(Some(PATIENCE)).timeout_per_read(Some(PATIENCE)).build().into()
}

/// The file of the newest commit that the cache knows.
fn cached(folder: &Path, file: &str) -> Option<PathBuf> {
    let commit = std::fs::read_to_string(folder.join("refs/main")).ok()?;
    let path = folder.join("snapshots").join(commit.trim()).join(file);
    path.is_file().then_some(path)
}

/// SHA-256 of a file in hexadecimal digits.
fn sha256(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&chunk[..read]),
        }
    }
}

/// `path` shows the content of `blob`; where there are no links, the content moves there.
fn link(blob: &Path, etag: &str, path: &Path) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    // A link whose blob was removed.
    let _ = std::fs::remove_file(path);
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), path);
    #[cfg(not(unix))]
    let linked = std::fs::rename(blob, path);
    match linked {
        Err(error) if !blob.is_file() || !path.is_file() => Err(disk(path, &error)),
        _ => Ok(()),
    }
}

fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| disk(folder, &error))
}

fn disk(path: &Path, error: &std::io::Error) -> Error {
    Error::Hub { what: format!("'{}'", path.display()), why: error.to_string() }
}

fn lost(address: &str, error: &ureq::Error) -> Error {
    let why =
        format!("no connection ({error}); with the file at hand give its path, or --offline for what the cache has");
    Error::Hub { what: address.into(), why }
}

fn refused(address: &str, status: u16) -> Error {
    let why = match status {
        401 | 403 => "one must be known to the hub to get it; set HF_TOKEN".into(),
        404 => "there is no such file or repository".into(),
        429 => "too many requests; wait a little, or set HF_TOKEN".into(),
        500.. => format!("the server is in trouble (status {status}); try again later"),
        _ => format!("the server says status {status}"),
    };
    Error::Hub { what: address.into(), why }
}
