//! Downloads from a hub that is a thread of this test: no network.
#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sconce_models::pretrained::Hub;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the server misbehaves.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    /// Hangs up in the middle of the content.
    HangsUp,
    /// Sends other bytes than it announced.
    Changes,
    /// Sends other bytes once, and those when it is told to.
    ChangesOnce,
    /// Knows no ranges.
    NoRanges,
    /// Names git's hash of the file, as for one that is not large.
    Small,
}

struct Server {
    endpoint: String,
    /// Method, path and range of every request.
    seen: Arc<Mutex<Vec<String>>>,
    trouble: Arc<Mutex<Trouble>>,
    /// Lets it send what it holds back.
    release: Sender<()>,
}

fn content() -> Vec<u8> {
    (0..300_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn serve() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (release, held) = channel();
    let held = Arc::new(Mutex::new(held));
    let server = Server {
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        seen: Arc::default(),
        trouble: Arc::new(Mutex::new(Trouble::None)),
        release,
    };
    let (seen, trouble) = (server.seen.clone(), server.trouble.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (seen, trouble, held) = (seen.clone(), trouble.clone(), held.clone());
            std::thread::spawn(move || {
                let now = *trouble.lock().unwrap();
                answer(stream.unwrap(), &seen, now, &|| {
                    held.lock().unwrap().recv().unwrap();
                    *trouble.lock().unwrap() = Trouble::None;
                });
            });
        }
    });
    server
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<String>>, trouble: Trouble, wait: &dyn Fn()) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.unwrap())
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_string())))
        .collect();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let range = headers.get("range").cloned().unwrap_or_default();
    seen.lock().unwrap().push(format!("{method} {path} {range}").trim().to_string());
    let content = content();
    let etag = if trouble == Trouble::Small { COMMIT.into() } else { hash(&content) };
    let facts = format!("X-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: {}\r\n", content.len());
    let mut say = |head: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {head}Connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).unwrap_or_default();
    };
    let is_ours = path == "/timm/tiny.in1k/resolve/main/model.safetensors";
    match (method, path) {
        ("HEAD", _) if path.starts_with("/timm/old.in1k/") => {
            say("307 Moved\r\nLocation: /timm/tiny.in1k/resolve/main/model.safetensors\r\nContent-Length: 0\r\n", &[])
        }
        ("HEAD", _) if is_ours => say(&format!("302 Found\r\n{facts}Location: /blob\r\nContent-Length: 0\r\n"), &[]),
        ("GET", _) if is_ours || path.starts_with("/timm/old.in1k/") => {
            say("302 Found\r\nLocation: /blob\r\nContent-Length: 0\r\n", &[])
        }
        ("HEAD", "/models/tiny.pth") => say(&format!("200 OK\r\nContent-Length: {}\r\n", content.len()), &[]),
        ("GET", "/blob" | "/models/tiny.pth") => {
            let from = match trouble {
                Trouble::NoRanges => 0,
                _ => range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0),
            };
            let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
            let mut body = content[from..].to_vec();
            let head = format!("{status}\r\nContent-Length: {}\r\n", body.len());
            match trouble {
                Trouble::HangsUp => body.truncate(500_000),
                Trouble::Changes => body[1000] ^= 1,
                Trouble::ChangesOnce => {
                    body[1000] ^= 1;
                    wait();
                }
                _ => {}
            }
            say(&head, &body);
        }
        _ => say("404 Not Found\r\nContent-Length: 0\r\n", &[]),
    }
}

fn hub(server: &Server, cache: &Path) -> Hub {
    Hub { endpoint: server.endpoint.clone(), ..Hub::new(cache) }
}

const FILE: (&str, &str) = ("timm/tiny.in1k", "model.safetensors");

#[test]
fn a_file_comes_once_into_the_layout_that_all_tools_share() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    let last = Mutex::new((0, 0));
    let path = hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|n, all| *last.lock().unwrap() = (n, all)).unwrap();
    assert_eq!(*last.lock().unwrap(), (1_200_000, 1_200_000));
    let folder = cache.path().join("models--timm--tiny.in1k");
    assert_eq!(path, folder.join("snapshots").join(COMMIT).join(FILE.1));
    assert_eq!(std::fs::read(&path).unwrap(), content());
    assert_eq!(std::fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    let blobs: Vec<_> = folder.join("blobs").read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(blobs, [hash(&content()).as_str()]);
    #[cfg(unix)]
    assert!(path.is_symlink());
    // Again, and offline: nobody is asked.
    let asked = server.seen.lock().unwrap().len();
    for offline in [false, true] {
        assert_eq!(Hub { offline, ..hub(&server, cache.path()) }.fetch(FILE.0, FILE.1, &|_, _| ()).unwrap(), path);
    }
    assert_eq!(server.seen.lock().unwrap().len(), asked);
}

#[test]
fn a_broken_download_goes_on_where_it_ended() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    *server.trouble.lock().unwrap() = Trouble::HangsUp;
    let error = hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|_, _| ()).unwrap_err().to_string();
    assert!(error.contains("500000 of 1200000 bytes") && error.contains("goes on"), "{error}");
    *server.trouble.lock().unwrap() = Trouble::None;
    let path = hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|_, _| ()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content());
    assert!(server.seen.lock().unwrap().iter().any(|line| line == "GET /blob bytes=500000-"));
}

#[test]
fn a_server_without_ranges_begins_again() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    *server.trouble.lock().unwrap() = Trouble::HangsUp;
    hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|_, _| ()).unwrap_err();
    *server.trouble.lock().unwrap() = Trouble::NoRanges;
    let path = hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|_, _| ()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content());
}

#[test]
fn changed_bytes_are_not_kept() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    *server.trouble.lock().unwrap() = Trouble::Changes;
    let error = hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|_, _| ()).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
    assert_eq!(cache.path().join("models--timm--tiny.in1k/blobs").read_dir().unwrap().count(), 0);
}

/// Git's hash is not that of the content alone: nothing could be checked.
#[test]
fn what_has_no_checksum_is_refused() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    *server.trouble.lock().unwrap() = Trouble::Small;
    let error = hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|_, _| ()).unwrap_err().to_string();
    assert!(error.contains("no commit, SHA-256 and size"), "{error}");
}

/// The first one gets other bytes and throws them away, while the second one waits for it.
#[test]
fn a_run_that_waited_for_another_begins_anew() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    *server.trouble.lock().unwrap() = Trouble::ChangesOnce;
    let fetch = || hub(&server, cache.path()).fetch(FILE.0, FILE.1, &|_, _| ());
    let asked = |what: &str| server.seen.lock().unwrap().iter().filter(|line| line.starts_with(what)).count();
    let until = |what: &str, count: usize| {
        while asked(what) < count {
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(fetch);
        until("GET /blob", 1);
        let locks = cache.path().join(".locks/models--timm--tiny.in1k").read_dir().unwrap();
        let locks: Vec<_> = locks.map(|entry| File::open(entry.unwrap().path()).unwrap()).collect();
        let alone = matches!(locks[0].try_lock_shared(), Err(TryLockError::WouldBlock));
        let second = scope.spawn(fetch);
        until("HEAD ", 2);
        server.release.send(()).unwrap();
        assert!(alone, "nobody holds the lock of what is downloaded");
        assert!(first.join().unwrap().unwrap_err().to_string().contains("checksum"));
        assert_eq!(std::fs::read(second.join().unwrap().unwrap()).unwrap(), content());
    });
    assert_eq!((asked("HEAD "), asked("GET /blob")), (2, 2));
    let refs: Vec<_> = cache.path().join("models--timm--tiny.in1k/refs").read_dir().unwrap().collect();
    assert_eq!(refs.len(), 1);
}

#[test]
fn files_of_other_addresses_lie_beside_the_hub_s() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    let address = format!("{}/models/tiny.pth", server.endpoint);
    let known = &hash(&content())[..8];
    // The token is the hub's.
    let asker = |offline| Hub { offline, token: Some("secret".into()), ..Hub::new(cache.path()) };
    let fetch = |offline, sha256| asker(offline).fetch_url(&address, sha256, &|_, _| ());
    assert!(fetch(true, known).unwrap_err().to_string().contains("without --offline"));
    let wrong = fetch(false, "00000000").unwrap_err().to_string();
    assert!(wrong.contains("checksum"), "{wrong}");
    *server.trouble.lock().unwrap() = Trouble::HangsUp;
    assert!(fetch(false, known).unwrap_err().to_string().contains("500000 of 1200000 bytes"));
    *server.trouble.lock().unwrap() = Trouble::None;
    let path = fetch(false, known).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content());
    assert!(server.seen.lock().unwrap().iter().any(|line| line == "GET /models/tiny.pth bytes=500000-"));
    let host = server.endpoint.trim_start_matches("http://").replace(':', "_");
    assert_eq!(path, cache.path().join(host).join("tiny.pth"));
    let asked = server.seen.lock().unwrap().len();
    assert_eq!(fetch(true, known).unwrap(), path);
    assert_eq!(server.seen.lock().unwrap().len(), asked);
    let none = asker(false).fetch_url("https://host/folder/", known, &|_, _| ()).unwrap_err().to_string();
    assert!(none.contains("no address of a file"), "{none}");
}

#[test]
fn renamed_repositories_are_followed() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    let path = hub(&server, cache.path()).fetch("timm/old.in1k", FILE.1, &|_, _| ()).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content());
}

#[test]
fn errors_say_what_to_do() {
    let (server, cache) = (serve(), tempfile::tempdir().unwrap());
    let error = |hub: Hub, repository: &str| hub.fetch(repository, FILE.1, &|_, _| ()).unwrap_err().to_string();
    let missing = error(hub(&server, cache.path()), "timm/nothing");
    assert!(missing.contains("timm/nothing") && missing.contains("no such file"), "{missing}");
    let offline = error(Hub { offline: true, ..hub(&server, cache.path()) }, FILE.0);
    assert!(offline.contains("without --offline"), "{offline}");
    let unreachable = error(Hub { endpoint: "http://127.0.0.1:9".into(), ..Hub::new(cache.path()) }, FILE.0);
    assert!(unreachable.contains("no connection") && unreachable.contains("--offline"), "{unreachable}");
    for name in ["timm", "../etc/passwd", "a/../b", ".a/b"] {
        assert!(error(hub(&server, cache.path()), name).contains("no repository"), "{name}");
    }
}
