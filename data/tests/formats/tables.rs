//! Sources that are tables, read from the files that pandas, Pillow and the csv module write; and tables as people leave them.

use sconce_data::explore::explore;
use sconce_data::source::{self, Collection};
use sconce_data::{Kind, Part, Row, Target};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tables").join(path)
}

/// The pixels of several pictures that the writer of the files wrote down.
fn expected(key: &str) -> Vec<Vec<u8>> {
    let all: Value = serde_json::from_slice(&fs::read(golden("expected.json")).unwrap()).unwrap();
    serde_json::from_value(all[key].clone()).unwrap()
}

fn open(path: &Path, more: Value) -> sconce_data::Result<(Collection, Value)> {
    let (name, mut params) = source::recognize(path)?;
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params)
}

fn opened(path: &Path, more: Value) -> (Collection, Value) {
    open(path, more).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn error<T>(result: sconce_data::Result<T>) -> String {
    result.err().map_or("it opens".into(), |error| error.to_string())
}

fn shown(collection: &Collection) -> Vec<String> {
    let classes = collection.dataset.classes();
    let class = |row: &Row| row.class().map_or("-", |c| &classes[c as usize]).to_string();
    collection.dataset.rows().iter().map(|row| format!("{:?} {} {}", row.part, row.id, class(row))).collect()
}

/// The pixels of all rows.
fn pixels(collection: &Collection) -> Vec<Vec<u8>> {
    let count = collection.dataset.rows().len();
    (0..count).map(|index| collection.dataset.image(index).unwrap_or_else(|e| panic!("{e}")).into_pixels()).collect()
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

/// A plain picture.
fn picture(level: u8) -> Vec<u8> {
    [b"P5 2 2 255\n".as_slice(), &[level; 4]].concat()
}

#[test]
fn a_column_for_each_pixel() {
    let (digits, unknown) = (expected("digits"), expected("unknown"));
    let (collection, params) = opened(&golden("digits"), json!({}));
    let wanted = json!({"path": golden("digits"), "table": "train.csv", "test_table": "test.csv", "shape": [8, 8],
        "order": "hwc", "label": "label", "meta": []});
    assert_eq!(params, wanted);
    assert_eq!(
        shown(&collection),
        ["Train 1 7", "Train 2 0", "Train 3 10", "Train 4 7", "Train 5 0", "Test 1 -", "Test 2 -"]
    );
    assert_eq!(collection.dataset.classes(), ["0", "7", "10"]);
    assert_eq!(pixels(&collection), [digits.clone(), unknown].concat());
    assert_eq!(collection.dataset.image(0).unwrap().dims(), [1, 8, 8, 1]);
    assert!(collection.sample_submission.as_ref().unwrap().ends_with("sample_submission.csv"));
    for name in ["train.csv/0", "train.csv/6", "train.csv/-1", "train.csv", "test.csv/3", "nothing.csv/1"] {
        assert!((collection.read)(name).is_err(), "{name}");
    }
    let report = explore(&collection, &Default::default(), &|_, _| ()).unwrap();
    assert_eq!((report.corrupt.len(), report.formats["pixels"]), (0, 7));

    let (plain, params) = opened(&golden("headerless.csv"), json!({}));
    assert_eq!((&params["label"], plain.dataset.rows().len()), (&json!("label"), 5));
    assert_eq!((pixels(&plain), shown(&plain)[2].as_str()), (digits.clone(), "Train 3 10"));
    let (quoted, _) = opened(&golden("quoted.csv"), json!({"color": "rgb", "meta": ["note"]}));
    let wanted: Vec<Vec<u8>> =
        digits.iter().map(|digit| digit.iter().flat_map(|&level| [level; 3]).collect()).collect();
    assert_eq!(pixels(&quoted), wanted);
    assert_eq!(quoted.dataset.columns()[0].categories[0], "a \"0\",\nover two lines");
}

#[test]
fn colors_and_their_order() {
    let (collection, params) = opened(&golden("colors.csv"), json!({}));
    assert_eq!((&params["shape"], &params["label"]), (&json!([5, 5, 3]), &json!("label")));
    assert_eq!((pixels(&collection), collection.dataset.classes().len()), (expected("colors"), 2));
    let (chw, _) = opened(&golden("colors.csv"), json!({"order": "chw", "shape": [5, 5, 3]}));
    assert_eq!(pixels(&chw), expected("colors_chw"));
    assert_eq!(pixels(&opened(&golden("colors.csv"), json!({"color": "gray"})).0), expected("gray"));
    let (wide, params) = opened(&golden("colors.csv"), json!({"shape": [3, 25]}));
    assert_eq!((wide.dataset.image(0).unwrap().dims(), &params["shape"]), ([1, 3, 25, 1], &json!([3, 25])));
    let shape = |shape: Value| error(open(&golden("colors.csv"), json!({"shape": shape})));
    assert!(shape(json!([5, 5])).contains("its pictures have 75 numbers, but data.shape is [5, 5]"));
    assert!(shape(json!([5])).contains("data.shape must be [height, width]"));
    assert!(shape(json!([u64::MAX / 2, 75, 9])).contains("75 numbers"));
    let deep = json!({"shape": [5, 3, 5], "color": "gray"});
    assert!(error(open(&golden("colors.csv"), deep)).contains("pictures of 5 channels have no color"));
}

#[test]
fn one_column_of_all_numbers_with_parts() {
    let (collection, params) = opened(&golden("fer.csv"), json!({}));
    assert_eq!(
        (&params["label"], &params["part"], &params["shape"]),
        (&"emotion".into(), &"Usage".into(), &json!([8, 8]))
    );
    assert_eq!(shown(&collection), ["Train 1 3", "Train 2 0", "Validation 3 3", "Test 4 0"]);
    assert_eq!(pixels(&collection), expected("faces"));
    let text = fs::read_to_string(golden("fer.csv")).unwrap();
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    for other in [windows, text.replace('\n', "\r"), text.trim_end().into(), text.replace('\n', "\n\n \n")] {
        let data = folder(&[("fer.csv", other.as_bytes())]);
        let (collection, _) = opened(&data.path().join("fer.csv"), json!({}));
        assert_eq!((pixels(&collection), collection.dataset.rows().len()), (expected("faces"), 4), "{other:?}");
    }
    let data = folder(&[("fer.csv", text.replace("PublicTest", "Public").as_bytes())]);
    let why = error(open(&data.path().join("fer.csv"), json!({})));
    assert!(why.contains("line 4: data.part: 'Public' is no part; expected train, val or test"), "{why}");
}

#[test]
fn wrong_numbers_are_named_with_their_line() {
    let header: String = (0..64).map(|i| format!(",p{i}")).collect();
    let row = |label: &str, last: &str| format!("{label}{},{last}\n", ",1".repeat(63));
    let table = |rows: &[String]| folder(&[("train.csv", format!("label{header}\n{}", rows.concat()).as_bytes())]);
    for (cell, shown) in [("256", "256"), ("-1", "-1"), ("1.5", "1.5"), ("x", "x"), ("", ""), ("NaN", "NaN")] {
        let data = table(&[row("a", "1"), row("b", cell)]);
        let (collection, _) = opened(data.path(), json!({}));
        let why = collection.dataset.image(1).unwrap_err().to_string();
        let wanted = format!("line 3: column 'p63' holds '{shown}', which is no whole number from 0 to 255");
        assert!(why.contains("'train.csv/2'") && why.contains(&wanted), "{why}");
        assert!(collection.dataset.image(0).is_ok());
    }
    let data = table(&[row("a", "1"), "b,1,2\n".into()]);
    assert!(error(open(data.path(), json!({}))).contains("train.csv': line 3 has 3 cells, expected 65"));
    let faces = "emotion,pixels\n1,1 2 3 4\n2,1 2 3\n3,1 2 300 4\n4,\n";
    let data = folder(&[("faces.csv", faces.as_bytes())]);
    let (collection, _) = source::open("pixels", json!({"path": data.path().join("faces.csv")})).unwrap();
    let why = |row: usize| collection.dataset.image(row).unwrap_err().to_string();
    assert!(collection.dataset.image(0).is_ok());
    assert!(why(1).contains("line 3: it has 3 pixels, expected 2×2×1 = 4"), "{}", why(1));
    assert!(why(2).contains("line 4: column 'pixels' holds '300'"), "{}", why(2));
    assert!(why(3).contains("line 5: it has 0 pixels"), "{}", why(3));
    let open = |text: &str, more: Value| {
        let data = folder(&[("t.csv", text.as_bytes())]);
        let mut params = json!({"path": data.path().join("t.csv")});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        error(source::open("pixels", params))
    };
    assert!(open("", json!({})).contains("t.csv': it is empty"));
    assert!(open("a,b\n1,2\n", json!({})).contains("no columns of one name that count pixels; there are a, b"));
    assert!(open("1,2,3\n", json!({})).contains("its rows have 3 numbers, neither a square nor one and a label"));
    assert!(
        open("u,v,pixels\na,b,1 2 3 4\n", json!({}))
            .contains("which column is the label? say it with data.label; there are u, v")
    );
    assert!(open("x,pixels\na,1 2 3\n", json!({})).contains("pictures of 3 numbers are no squares; give data.shape"));
    assert!(
        open("x,pixels\na,1 2 3 4\n", json!({"label": "z"}))
            .contains("data.label: unknown column 'z', expected one of x")
    );
    assert!(open("x,pixels\n", json!({})).contains("pictures of 0 numbers"));
    let same = "id,label,pixels\nq,1,1 2 3 4\nq,1,1 2 3 4\n";
    assert!(open(same, json!({})).contains("the id 'q' stands twice"));
}

#[test]
fn votes_are_shares_of_ten_scores() {
    let (collection, params) = opened(&golden("ava"), json!({"meta": ["tag_1", "tag_2"]}));
    assert_eq!(params["test_list"], "aesthetics_image_lists/generic_test.jpgl");
    let rows = collection.dataset.rows();
    let all: Value = serde_json::from_slice(&fs::read(golden("expected.json")).unwrap()).unwrap();
    let shares: Vec<Vec<f32>> = serde_json::from_value(all["ava"].clone()).unwrap();
    let facts = [(0, "1396"), (1, "1396"), (3, "1397"), (4, "1397"), (6, "1398")];
    assert_eq!(rows.len(), facts.len());
    for (row, (i, challenge)) in rows.iter().zip(facts) {
        assert_eq!((row.id.as_str(), row.group.as_deref()), (format!("{}", 953_600 + i).as_str(), Some(challenge)));
        assert_eq!(row.part, if [4, 6].contains(&i) { Part::Test } else { Part::Train });
        let Some(Target::Dense(values)) = &row.target else { panic!("{row:?}") };
        assert!(values.iter().zip(&shares[i]).all(|(a, b)| (a - b).abs() < 1e-6), "{i}: {values:?} {:?}", shares[i]);
    }
    assert_eq!((collection.target, collection.dataset.classes()[9].as_str()), (Kind::Distribution, "10"));
    assert_eq!(collection.missing_files, ["953602", "953605"]);
    let columns = collection.dataset.columns();
    assert_eq!(
        (&columns[0].categories[..], &columns[1].categories[..]),
        (&["Abstract".into(), "Urban".into()][..], &["Urban".into(), "none".into()][..])
    );
    assert_eq!(
        rows.iter().map(|row| row.meta.clone()).collect::<Vec<_>>(),
        [[0., 1.], [1., 1.], [1., 1.], [0., 0.], [0., 0.]]
    );
    assert!(collection.warnings[0].contains("1 ids of data.train_list or data.test_list are not in AVA.txt, as '999'"));
    let levels: Vec<u8> = pixels(&collection).iter().map(|pixels| pixels[0]).collect();
    assert_eq!(levels, [0, 30, 90, 120, 180]);
    let (alone, params) = opened(&golden("ava/AVA.txt"), json!({"group": "picture"}));
    assert!(alone.dataset.rows().iter().all(|row| row.group.is_none() && row.meta.is_empty()));
    assert_eq!((&params["group"], &params["path"]), (&"picture".into(), &json!(golden("ava"))));
}

#[test]
fn lists_of_votes_that_are_wrong() {
    let line = |id: &str, votes: &str| format!("1 {id} {votes} 0 0 5\n");
    let ones = ["1"; 10].join(" ");
    let open = |list: &[u8], files: &[(&str, &[u8])], more: Value| {
        let (a, b) = (picture(1), picture(2));
        let files = [files, &[("AVA.txt", list), ("p/7.jpg", &a), ("p/8.jpg", &b)]].concat();
        let data = folder(&files);
        let found = open(data.path(), more);
        (error(found.as_ref().map_err(|e| sconce_data::Error::Invalid(e.to_string()))), found.ok())
    };
    let why = |list: &str, files: &[(&str, &[u8])], more: Value| open(list.as_bytes(), files, more).0;
    let good = line("7", &ones);
    for (bad, what) in [
        (line("8", "1 2"), "line 2 is not 15 whole numbers: '1 8 1 2 0 0 5'"),
        (line("x", &ones), "line 2 is not 15"),
        (line("8", &ones.replacen('1', "-1", 1)), "line 2 is not 15"),
        (line("8", &ones.replacen('1', "1e3", 1)), "line 2 is not 15"),
        (line("8", &["0"; 10].join(" ")), "AVA.txt': '8' has"),
        (line("7", &ones.replacen('1', "2", 1)), "id 7 stands on lines 1 and 2 with different numbers"),
    ] {
        let said = why(&(good.clone() + &bad), &[], json!({}));
        assert!(said.contains(what) && said.contains("AVA.txt"), "{said}");
    }
    let said = open(&[good.as_bytes(), b"2 \xE4"].concat(), &[], json!({})).0;
    assert!(said.contains("AVA.txt': line 2 is no valid UTF-8"), "{said}");
    assert!(
        why(&good, &[], json!({"meta": "tags"}))
            .contains("data.meta: unknown column 'tags', expected one of tag_1, tag_2")
    );
    let twice = picture(7);
    assert!(why(&good, &[("q/7.jpg", &twice)], json!({})).contains("the picture of 7 may be 'p/7.jpg' or 'q/7.jpg'"));
    let three = good.clone() + &good + &line("8", &ones) + &line("9", &ones);
    let lists: [(&str, &[u8]); 2] = [("train.txt", b"7.jpg\n"), ("test.txt", b"9\n")];
    let both = json!({"train_list": "train.txt", "test_list": "test.txt"});
    let (_, found) = open(three.as_bytes(), &lists, both);
    let (collection, _) = found.unwrap();
    assert_eq!(shown(&collection), ["Train 7 -"]);
    let said = collection.warnings.join("\n");
    assert!(said.contains("1 lines stand in the list again") && said.contains("1 photographs are neither"), "{said}");
    assert_eq!(collection.missing_files, ["9"]);
    let same = json!({"train_list": "train.txt", "test_list": "train.txt"});
    assert!(why(&three, &lists, same).contains("line 1: 7 is in data.train_list, too"));
    assert!(why(&three, &[("t.txt", b"a\n")], json!({"test_list": "t.txt"})).contains("line 1 is no id"));
    assert!(why("", &[], json!({})).contains("AVA.txt': it is empty"));
}

/// What is said of a table of this name beside two pictures.
fn table(bytes: &[u8], more: Value) -> sconce_data::Result<(Collection, Value)> {
    let (a, b) = (picture(1), picture(2));
    let data = folder(&[("train.csv", bytes), ("images/a.pgm", &a), ("images/b.pgm", &b)]);
    let mut params = json!({"path": data.path()});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open("csv", params)
}

#[test]
fn tables_in_every_writing() {
    let rows = |bytes: &[u8]| table(bytes, json!({})).map(|(collection, _)| shown(&collection));
    let wanted = ["Train a x", "Train b ü"];
    for text in [
        "id,label\na,x\nb,ü\n",
        "\u{feff}id,label\r\na,x\r\nb,ü\r\n",
        "id;label\ra;x\rb;ü",
        "\n\nid\tlabel\n\n a \tx\nb\t\"ü\"\n\n",
        "id|label\n\"a\"|x\nb|ü",
    ] {
        assert_eq!(rows(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text:?}")), wanted, "{text:?}");
    }
    let long = format!("id,label\na,{}\nb,y\n", "x".repeat(1 << 20));
    assert_eq!(table(long.as_bytes(), json!({})).unwrap().0.dataset.classes()[0].len(), 1 << 20);
    let text = "id,label\na,x\nb,ü\n";
    for big in [false, true] {
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        let marked: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect();
        assert!(error(rows(&marked)).contains("train.csv': it is written in UTF-16; save it as UTF-8"));
        assert!(error(rows(&marked[2..])).contains("it holds bytes of value 0"));
    }
    let latin = error(rows(b"id,label\r\na,x\r\nb,\xFC\r\n"));
    assert!(latin.contains("train.csv': line 3: cell 2 is no valid UTF-8") && latin.contains("Latin-1"), "{latin}");
    let unequal = error(rows(b"id,label\r\n\r\na,x\r\nb\r\n"));
    assert!(unequal.contains("line 4 has 1 cells, but the header 2"), "{unequal}");
    for end in ["\n", "\r\n", ""] {
        // The lines of a cell count, too.
        let unequal = error(rows(format!("id,label\na,\"x\ny\nz\"\nb{end}").as_bytes()));
        assert!(unequal.contains("line 5 has 1 cells"), "{end:?}: {unequal}");
    }
    // A quote that nothing closes swallows all that follows.
    let stray = [b"id,label\na,\"x\n", "b,y\n".repeat(20 << 20).as_bytes()].concat();
    let stray = error(rows(&stray));
    assert!(
        stray.contains(
            "train.csv': line 2 or one behind it: a row is longer than the 64 MiB allowed; is there a quote too many?"
        ),
        "{stray}"
    );
}

#[test]
fn paths_of_other_machines() {
    let (a, b, c) = (picture(1), picture(2), picture(3));
    let open = |text: &str| {
        let files: [(&str, &[u8]); 4] =
            [("x/1.pgm", &a), ("y/1.pgm", &b), ("y/2.pgm", &c), ("train.csv", text.as_bytes())];
        let data = folder(&files);
        let (collection, _) = source::open("csv", json!({"path": data.path()}))?;
        let row = |i: usize| collection.files.iter().find(|file| file.row == Some(i)).map_or("-", |file| &file.path);
        Ok((0..collection.dataset.rows().len()).map(|i| row(i).to_string()).collect::<Vec<_>>())
    };
    let wanted = ["x/1.pgm", "y/1.pgm", "y/2.pgm"];
    for prefix in ["", "./", "/kaggle/input/set/", "C:\\data\\", "..\\", "images/"] {
        let cells = wanted.map(|path| {
            format!("{prefix}{}", if prefix.contains('\\') { path.replace('/', "\\") } else { path.into() })
        });
        let text = format!("path,label\n{},a\n{},b\n{},a\n", cells[0], cells[1], cells[2]);
        assert_eq!(open(&text).unwrap_or_else(|e| panic!("{e}")), wanted, "{text}");
    }
    // Without their endings, and one in a folder that is not there.
    assert_eq!(
        open("path,label\nz/y/1,a\nx/1,b\nz/2,b\n").unwrap_or_else(|e| panic!("{e}")),
        ["y/1.pgm", "x/1.pgm", "y/2.pgm"]
    );
    assert!(error(open("path,label\n1.pgm,a\n2.pgm,b\n")).contains("line 2: id '1.pgm' may be 'x/1.pgm' or 'y/1.pgm'"));
}

#[test]
fn a_column_says_the_part() {
    let text = "id,split,label\na,train,x\nb,TEST,\n";
    let (collection, params) = table(text.as_bytes(), json!({"part": "split"})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(shown(&collection), ["Train a x", "Test b -"]);
    assert_eq!((&params["label"], collection.missing_values.len()), (&json!("label"), 0));
    for (word, part) in [("val", Part::Validation), ("valid", Part::Validation), ("Validation", Part::Validation)] {
        let (collection, _) = table(text.replace("TEST", word).as_bytes(), json!({"part": "split"})).unwrap();
        assert_eq!(collection.dataset.rows()[1].part, part, "{word}");
        assert_eq!(collection.missing_values["label"], ["b"]);
    }
    for word in ["", "3"] {
        let why = error(table(text.replace("TEST", word).as_bytes(), json!({"part": "split"})));
        assert!(why.contains(&format!("line 3: data.part: '{word}' is no part; expected train, val or test")), "{why}");
    }
    assert!(error(table(text.as_bytes(), json!({"part": "fold"}))).contains("data.part: unknown column 'fold'"));
}

#[test]
fn what_is_left_out_is_counted_and_named() {
    let text = "id,label\na,x\ngone,x\na,x\nlost,y\na,x\n";
    let (collection, _) = table(text.as_bytes(), json!({})).unwrap();
    assert_eq!(collection.missing_files, ["gone", "lost"]);
    assert_eq!(
        collection.files.iter().filter(|file| file.row.is_none()).map(|f| &f.path).collect::<Vec<_>>(),
        ["images/b.pgm"]
    );
    assert_eq!(collection.warnings, ["2 rows stand in their table again and are left out, as 'a'"]);
    // A lost group would be a leak; metadata are lost with a word.
    let text = b"id,label,who,where,age\na,x,p,q,1\nb,y,p,q,2\na,x,r,s,3\n";
    for column in ["group", "sample"] {
        let why = error(table(text, json!({"label": "label", column: "who"})));
        assert!(
            why.contains("id 'a' stands on lines 2 and 4 with different 'who'; leave one line of each id"),
            "{why}"
        );
    }
    let (collection, _) = table(text, json!({"label": "label", "meta": ["where", "age"]})).unwrap();
    let said =
        "1 rows that stand in their table again have other metadata there, which are lost, as 'a' in column 'where'";
    assert_eq!(collection.warnings[1], said);
    let many: String = (0..30).map(|i| format!("n{},x{i}\n", i / 2)).collect();
    let why = error(table(format!("id,label\n{many}").as_bytes(), json!({"id": "id"})));
    assert!(why.contains("'n9' stands on lines 20 and 21 with different 'label' and 5 more; leave"), "{why}");
    let classes = json!({"target": {"kind": "class", "classes": ["y", "z"]}});
    let why = error(table(b"id,label\na,x\nb,q\n", classes));
    assert!(why.contains("'x' of 'a' is none of target.classes: y, z") && why.contains("the 2 rows"), "{why}");
}

#[test]
fn tables_of_too_many_columns_and_folders_too_deep_are_said() {
    let names: Vec<String> = (0..40_000).map(|i| format!("c{i}")).collect();
    let why = error(table(format!("id,{}\n", names.join(",")).as_bytes(), json!({})));
    assert!(why.contains("it has 40001 columns from 'id', more than the 32768 allowed"), "{why}");
    let (a, b, deep) = (picture(1), picture(2), "d/".repeat(66) + "1.pgm");
    let (collection, _) = opened(folder(&[("cat/1.pgm", &a), ("dog/2.pgm", &b), (&deep, &a)]).path(), json!({}));
    assert_eq!(shown(&collection), ["Train cat/1.pgm cat", "Train dog/2.pgm dog"]);
    assert!(collection.warnings[0].contains("1 folders lie too deep and are ignored"), "{:?}", collection.warnings);
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_no_text_are_skipped_and_named() {
    use std::os::unix::ffi::OsStrExt;
    let (a, b) = (picture(1), picture(2));
    let data = folder(&[("cat/1.pgm", &a), ("dog/2.pgm", &b)]);
    fs::write(data.path().join("dog").join(std::ffi::OsStr::from_bytes(b"\xE4.pgm")), &a).unwrap();
    let (collection, _) = opened(data.path(), json!({}));
    assert_eq!(shown(&collection), ["Train cat/1.pgm cat", "Train dog/2.pgm dog"]);
    let wanted =
        "1 files or folders have names that are no valid UTF-8 and are ignored; rename them, as 'dog/\u{fffd}.pgm'";
    assert_eq!(collection.warnings, [wanted]);
}
