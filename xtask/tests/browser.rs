//! Opens reports in headless Chromium: nothing is said on the console, nothing is asked of a network, nothing overflows.
//!
//! Needs `chromium` and `chromedriver`; without them the tests are skipped and say so, unless `SCONCE_BROWSER=required`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod program;

use program::{read, sconce, succeeds, with};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A browser of its own, and the port at which its driver listens.
struct Browser {
    driver: Child,
    port: u16,
}

/// What came of opening a page.
struct Seen {
    console: Vec<String>,
    requests: Vec<String>,
    page: Value,
}

/// What a page is asked. Runs as the driver's own script, not as the page's.
const QUESTION: &str = "
    const root = document.documentElement;
    return {
        title: document.title,
        sections: document.querySelectorAll('main section, main > section, section').length,
        overflow: root.scrollWidth - window.innerWidth,
        images: document.images.length,
        torn: [...document.querySelectorAll('.images')].filter(
            row => row.children.length < 4 && new Set([...row.children].map(image => image.offsetTop)).size > 1).length,
        broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length,
        charts: document.querySelectorAll('svg[role=img]').length,
        active: document.querySelectorAll('script, iframe, object, [onerror], [onload]').length,
        text: document.body.innerText,
    };";

impl Browser {
    /// Starts the driver on a free port.
    fn start() -> Option<Self> {
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn();
        let Ok(mut driver) = driver else {
            assert!(std::env::var("SCONCE_BROWSER").as_deref() != Ok("required"), "there is no chromedriver");
            println!("skipped: there is no chromedriver");
            return None;
        };
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let started = lines.map_while(Result::ok).find(|line| line.contains("started successfully on port"));
        let port = started.and_then(|line| line.rsplit(' ').next()?.trim_end_matches('.').parse().ok());
        Some(Self { driver, port: port.unwrap() })
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let body = body.to_string();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
        write!(stream, "{head}Content-Type: application/json\r\nConnection: close\r\n\r\n{body}").unwrap();
        // The driver keeps the connection open, whatever it was asked.
        let (mut answer, mut length) = (BufReader::new(stream), 0);
        for line in answer.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).unwrap();
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert!(value["value"].get("error").is_none(), "{method} {path}: {value}");
        value["value"].clone()
    }

    /// Opens a file in a window of this size.
    fn open(&self, page: &Path, [width, height]: [u32; 2]) -> Seen {
        let mut args: Vec<String> =
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
            --disable-background-networking --disable-component-update --disable-sync"
                .split_whitespace()
                .map(String::from)
                .collect();
        args.push(format!("--window-size={width},{height}"));
        let mut options = json!({"args": args});
        if width < 500 {
            // A window has a least width; a phone has not.
            options["mobileEmulation"] = json!({"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2}});
        }
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let session = self.call("POST", "/session", &json!({"capabilities": {"alwaysMatch": wanted}}));
        let at = |path: &str| format!("/session/{}{path}", session["sessionId"].as_str().unwrap());
        self.call("POST", &at("/url"), &json!({"url": format!("file://{}", page.display())}));
        let page = self.call("POST", &at("/execute/sync"), &json!({"script": QUESTION, "args": []}));
        let log = |kind: &str| self.call("POST", &at("/se/log"), &json!({"type": kind})).as_array().unwrap().clone();
        let message = |entry: &Value| entry["message"].as_str().unwrap().to_string();
        let console = log("browser").iter().map(message).collect();
        let event = |entry: &Value| serde_json::from_str::<Value>(entry["message"].as_str()?).ok();
        let events: Vec<Value> = log("performance").iter().filter_map(event).collect();
        let sent = events.iter().filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        let url = |event: &Value| event["message"]["params"]["request"]["url"].as_str().unwrap().to_string();
        let requests = sent.map(url).filter(|url| !url.starts_with("data:")).collect();
        self.call("DELETE", &at(""), &json!({}));
        Seen { console, requests, page }
    }

    /// Opens a page as on a desk and as on a phone, and expects what every report must be.
    #[track_caller]
    fn check(&self, page: &Path) -> Value {
        let text = String::from_utf8(read(page)).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{} names an address", page.display());
        let mut last = Value::Null;
        for size in [[1280, 900], [360, 740]] {
            let Seen { console, requests, page: answer } = self.open(page, size);
            let about = format!("{} at {size:?}: {answer}", page.display());
            assert!(console.is_empty(), "{about}: {console:?}");
            assert_eq!(requests, [format!("file://{}", page.display())], "{about}");
            assert_eq!(answer["broken"], 0, "{about}");
            assert_eq!(answer["torn"], 0, "pictures that belong side by side: {about}");
            assert_eq!(answer["active"], 0, "{about}");
            assert!(answer["overflow"].as_i64().unwrap() <= 0, "{about}");
            last = answer;
        }
        last
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_reports_of_the_demo_are_whole_and_quiet() {
    let Some(browser) = Browser::start() else { return };
    let temporary = tempfile::tempdir().unwrap();
    let sets = ["train.epochs=2", "data.folds=2", "eval.views=none"];
    let mut command = with(sconce(temporary.path()), &[]);
    command.args(["pipeline", "--quiet", "--out", "demo"]);
    succeeds(&mut with(command, &sets));
    let report = browser.check(&temporary.path().join("demo/report.html"));
    assert!(report["sections"].as_u64().unwrap() >= 12, "{report}");
    assert!(report["charts"].as_u64().unwrap() >= 12 && report["images"].as_u64().unwrap() >= 100, "{report}");
    let text = report["text"].as_str().unwrap();
    let titles =
        ["Scores", "Training", "Classes", "Calibration", "Hardest pictures", "Suspected wrong labels", "Defects"];
    titles.iter().for_each(|title| assert!(text.contains(title), "{title}: {text}"));
    let data = browser.check(&temporary.path().join("demo/eda.html"));
    assert!(data["images"].as_u64().unwrap() >= 50, "{data}");
    succeeds(sconce(temporary.path()).args(["explain", "demo", "--quiet"]));
    let explained = browser.check(&temporary.path().join("demo/explain.html"));
    assert!(explained["images"].as_u64().unwrap() >= 36, "{explained}");
}

#[test]
fn names_are_shown_and_never_run() {
    let Some(browser) = Browser::start() else { return };
    let temporary = tempfile::tempdir().unwrap();
    let bad = ["<img src=x onerror=alert(1)>", "{{ 7*7 }} & \"quoted\""];
    for (class, name) in bad.iter().enumerate() {
        let folder = temporary.path().join("pictures").join(name);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..12u8 {
            let shade = |x: u32, y: u32| [20 + 200 * class as u8, (x * 9) as u8 ^ i, (y * 7) as u8 + i];
            let picture = image::RgbImage::from_fn(20, 20, |x, y| image::Rgb(shade(x, y)));
            picture.save(folder.join(format!("<svg onload=alert({i})>.png"))).unwrap();
        }
    }
    let sets = ["train.epochs=1", "data.folds=2", "preprocess.size=16", "model.name=baseline", "train.batch_size=4"];
    let mut command = sconce(temporary.path());
    command.args(["pipeline", "--quiet", "--data", "pictures", "--out", "run"]);
    succeeds(&mut with(command, &sets));
    for page in ["run/report.html", "run/eda.html"] {
        let answer = browser.check(&temporary.path().join(page));
        bad.iter().for_each(|name| assert!(answer["text"].as_str().unwrap().contains(name), "{name}: {answer}"));
    }
}
