//! The run's folder: whole files, curves that survive a kill.
#![allow(clippy::unwrap_used)]

use sconce_eval::{Run, Scalar, Scalars};

fn scalar(step: usize, value: f64) -> Scalar {
    Scalar { step, epoch: step / 10, fold: 1, name: "train/loss".into(), value }
}

#[test]
fn files_are_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::create(folder.path().join("runs/first")).unwrap();
    run.write("fold0/oof.csv", b"one").unwrap();
    run.write("fold0/oof.csv", b"two").unwrap();
    assert_eq!(run.read("fold0/oof.csv").unwrap(), b"two");
    assert!(run.has("fold0/oof.csv") && !run.has("oof.csv"));
    assert_eq!(std::fs::read_dir(run.path("fold0")).unwrap().count(), 1, "no temporary file is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(run.path("plain"), b"").unwrap();
        let mode = |name: &str| std::fs::metadata(run.path(name)).unwrap().permissions().mode();
        assert_eq!(mode("fold0/oof.csv"), mode("plain"));
    }
    for name in ["", "../x", "/etc/x", "a/../../x"] {
        assert!(run.write(name, b"").unwrap_err().to_string().contains("no name inside of a run's folder"), "{name}");
    }
    assert!(Run::create(run.folder()).unwrap_err().to_string().contains("is not empty; choose another folder"));
    assert_eq!(Run::open(run.folder()).unwrap().read("fold0/oof.csv").unwrap(), b"two");
    assert!(Run::open(folder.path().join("none")).unwrap_err().to_string().contains("there is no run at '"));
    let missing = run.read("oof.csv").unwrap_err().to_string();
    assert!(missing.starts_with("cannot read '") && missing.ends_with("oof.csv'"), "{missing}");
    std::fs::write(run.path("file"), b"").unwrap();
    assert!(run.write("file/x", b"").unwrap_err().to_string().starts_with("cannot write '"));
}

#[test]
fn curves_are_cut_back_to_what_a_resumed_run_knows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scalars.jsonl");
    assert_eq!(Scalars::read(&path).unwrap(), []);
    let mut scalars = Scalars::resume(&path, |_| true).unwrap();
    for step in 0..30 {
        scalars.push(&scalar(step, 0.1 + step as f64 / 3.0)).unwrap();
    }
    scalars.flush().unwrap();
    let line = std::fs::read_to_string(&path).unwrap().lines().nth(1).unwrap().to_string();
    let wanted = r#"{"step":1,"epoch":0,"fold":1,"name":"train/loss","value":0.43333333333333335}"#;
    assert_eq!(line, wanted);
    // A kill in the middle of a line, even one that is complete but for its end.
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + wanted).unwrap();
    let mut scalars = Scalars::resume(&path, |s| s.step < 20).unwrap();
    scalars.push(&scalar(20, f64::NAN)).unwrap();
    drop(scalars);
    let read = Scalars::read(&path).unwrap();
    assert_eq!(read.len(), 21);
    assert_eq!(read[..20], (0..20).map(|step| scalar(step, 0.1 + step as f64 / 3.0)).collect::<Vec<_>>());
    assert!(read[20].value.is_nan());
    std::fs::write(&path, format!("{wanted}\n{{\"step\":\n{wanted}\n")).unwrap();
    let error = Scalars::resume(&path, |_| true).unwrap_err().to_string();
    assert!(error.contains("scalars.jsonl', line 2: EOF while parsing a value"), "{error}");
}
