//! Sources whose rows become pictures: series of numbers, tables of features and boxes of cars, against pyts, scikit-learn
//! (`xtask/fixtures/sources_converted.py`) and l5kit (`xtask/fixtures/convert.py`); and tables as people leave them.

use sconce_data::explore::explore;
use sconce_data::source::{self, Collection};
use sconce_data::{Part, Row};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/converted").join(path)
}

fn expected(key: &str) -> Vec<Value> {
    let all: Value = serde_json::from_slice(&fs::read(golden("expected.json")).unwrap()).unwrap();
    all[key].as_array().unwrap().clone()
}

fn open(name: &str, path: &Path, more: Value) -> sconce_data::Result<(Collection, Value)> {
    let mut params = json!({"path": path});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    source::open(name, params)
}

fn opened(name: &str, path: &Path, more: Value) -> (Collection, Value) {
    open(name, path, more).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn error<T>(result: sconce_data::Result<T>) -> String {
    result.err().map_or("it opens".into(), |error| error.to_string())
}

fn shown(collection: &Collection) -> Vec<String> {
    let classes = collection.dataset.classes();
    let class = |row: &Row| row.class().map_or("-", |c| &classes[c as usize]).to_string();
    collection.dataset.rows().iter().map(|row| format!("{:?} {} {}", row.part, row.id, class(row))).collect()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn pixels(collection: &Collection, index: usize) -> Vec<u8> {
    collection.dataset.image(index).unwrap_or_else(|e| panic!("{e}")).into_pixels()
}

/// Whether levels are the same but for a few that lie between two.
fn same(levels: &[u8], wanted: &Value, what: &str) {
    let wanted: Vec<u8> = serde_json::from_value(wanted.clone()).unwrap();
    assert_eq!(levels.len(), wanted.len(), "{what}");
    let apart: Vec<u8> = levels.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).filter(|apart| *apart > 0).collect();
    assert!(apart.len() * 50 <= wanted.len() && apart.iter().all(|apart| *apart == 1), "{what}: {apart:?}");
}

#[test]
fn series_of_the_archive_are_the_fields_of_pyts() {
    let (name, mut params) = source::recognize(&golden("Waves")).unwrap();
    params["size"] = json!(16);
    params["fields"] = json!(["gasf", "gadf", "mtf", {"name": "recurrence", "dimension": 2, "delay": 2}]);
    let (collection, resolved) = source::open(name, params).unwrap();
    assert_eq!(name, "series");
    assert_eq!(shown(&collection), ["Train 1 1", "Train 2 -1", "Train 3 1", "Train 4 -1", "Test 1 -1", "Test 2 1"]);
    assert_eq!(collection.dataset.classes(), ["-1", "1"]);
    for (index, wanted) in expected("series").iter().enumerate() {
        let image = collection.dataset.image(index).unwrap();
        assert_eq!(image.dims(), [1, 16, 16, 4]);
        for (channel, field) in ["gasf", "gadf", "mtf", "recurrence"].into_iter().enumerate() {
            let levels: Vec<u8> = image.pixels().chunks_exact(4).map(|pixel| pixel[channel]).collect();
            same(&levels, &wanted[field], &format!("{index} {field}"));
        }
    }
    let fields = json!([
        {"name": "gasf"}, {"name": "gadf"}, {"name": "mtf", "n_bins": 5},
        {"name": "recurrence", "dimension": 2, "delay": 2, "threshold": null}
    ]);
    let wanted = json!({"path": golden("Waves"), "table": "Waves_TRAIN.tsv", "test_table": "Waves_TEST.tsv", "size": 16,
        "fields": fields, "missing": "refuse", "label": "label"});
    assert_eq!(resolved, wanted);
    let (again, second) = source::open("series", resolved.clone()).unwrap();
    assert_eq!((second, pixels(&again, 5)), (resolved, pixels(&collection, 5)));
    let report = explore(&collection, &Default::default(), &|_, _| ()).unwrap();
    assert_eq!((report.corrupt.len(), report.formats["series"]), (0, 6));
    for name in ["Waves_TRAIN.tsv/0", "Waves_TRAIN.tsv/5", "Waves_TRAIN.tsv", "Waves_TEST.tsv/3", "nothing.tsv/1"] {
        assert!((collection.read)(name).is_err(), "{name}");
    }
}

#[test]
fn the_default_is_three_channels_of_what_the_shortest_series_has() {
    let (collection, params) = opened("series", &golden("Waves/Waves_TRAIN.tsv"), json!({}));
    assert_eq!((&params["size"], &params["test_table"]), (&json!(22), &json!("Waves_TEST.tsv")));
    assert!((0..6).all(|index| collection.dataset.image(index).unwrap().dims() == [1, 22, 22, 3]));
    let recurrence =
        json!({"fields": [{"name": "recurrence", "dimension": 3, "delay": 4, "threshold": {"largest": 10}}]});
    let (plot, params) = opened("series", &golden("Waves"), recurrence);
    assert_eq!((&params["size"], plot.dataset.image(1).unwrap().dims()), (&json!(14), [1, 14, 14, 1]));
    let long: String = (0..2).map(|label| format!("{label}{}\n", "\t0.5\t1\t-1".repeat(100))).collect();
    let data = folder(&[("x.tsv", &long)]);
    assert_eq!(opened("series", data.path(), json!({})).1["size"], 128);
}

#[test]
fn columns_with_names_and_values_that_are_missing() {
    let table = "id,a,b,c,d,kind,site,note\nu,0,2,4,6,x,s,1\nv,6,,,0,y,s,2\nw,,1,3,,x,t,3\n";
    let data = folder(&[("train.csv", table)]);
    let more = |more: Value| {
        let mut params = json!({"label": "kind", "group": "site", "ignore": "note"});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        open("series", data.path(), params)
    };
    let why = error(more(json!({})));
    assert!(why.contains("train.csv': line 3: column 'b' holds no value, but the series goes on behind it"), "{why}");
    let (collection, params) = more(json!({"missing": "interpolate", "fields": ["gasf"]})).unwrap();
    assert_eq!((&params["size"], &params["id"]), (&json!(3), &json!("id")));
    assert_eq!(shown(&collection), ["Train u x", "Train v y", "Train w x"]);
    assert_eq!(collection.dataset.rows()[2].group.as_deref(), Some("t"));
    // The same as the series 6, 4, 2, 0 and 1, 1, 3, which end before what is missing at the end.
    let full = "label,a,b,c,d\nx,0,2,4,6\ny,6,4,2,0\nx,1,1,3,NA\n";
    let full = folder(&[("t.csv", full)]);
    let (same, _) = opened("series", full.path(), json!({"fields": ["gasf"]}));
    assert!((0..3).all(|index| pixels(&same, index) == pixels(&collection, index)));
    assert!(pixels(&same, 1) != pixels(&same, 2));
    // A test part may have its columns elsewhere, and no label.
    let test = "d,c,id,b,a\n6,4,z,2,0\n";
    let data =
        folder(&[("train.csv", &table.replace(",,,", ",4,2,").replace("w,,1,3,,", "w,1,1,3,3,")), ("test.csv", test)]);
    let params = json!({"label": "kind", "ignore": ["note", "site"]});
    let (collection, _) = opened("series", data.path(), params);
    assert_eq!(shown(&collection)[3], "Test z -");
    assert_eq!(pixels(&collection, 3), pixels(&collection, 0));
}

#[test]
fn wrong_series_are_named_with_their_line() {
    let wrong = |text: &str, more: Value, wanted: &str| {
        let data = folder(&[("t.csv", text)]);
        let why = error(open("series", data.path(), more));
        assert!(why.contains(wanted) && (why.contains("t.csv") || why.starts_with("data.size")), "{why}");
    };
    wrong("", json!({}), "it is empty; expected a row for each series");
    wrong("1,2,3\n2,x,4\n", json!({}), "line 2: column 'value1' holds 'x', which is no number");
    wrong("1,2,3\n2,inf,4\n", json!({}), "line 2: column 'value1' holds 'inf', which is no number");
    wrong("1,2,3\n2,1e99,4\n", json!({}), "line 2: column 'value1' holds '1e99'");
    wrong("1,2,3\n2,4\n", json!({}), "line 2 has 2 cells, expected 3");
    wrong("1,2,3\n2,NaN,\n", json!({}), "line 2: its series has no values; leave the row out");
    wrong("1\n2\n", json!({}), "no column is left that may hold values of a series");
    wrong("a,b\n1,2\n", json!({}), "which column is the label? say it with data.label; there are a, b");
    wrong("a,a,label\n1,2,3\n", json!({}), "column 'a' stands in the header twice");
    wrong("label,a\n1,2\n", json!({"ignore": ["b"]}), "data.ignore: unknown column 'b'");
    wrong(
        "1,2,3\n2,4,NaN\n",
        json!({"size": 2}),
        "line 2: its series has 1 values, but data.size and data.fields take at least 2",
    );
    wrong("1,2,3\n", json!({"size": 0}), "data.size must be at least 1");
    let far = json!({"fields": [{"name": "recurrence", "dimension": 9, "delay": u64::MAX}]});
    wrong("1,2,3\n", far, "line 1: its series has 2 values");
    let params = |fields: Value, wanted: &str| {
        let data = folder(&[("t.csv", "1,2,3\n2,3,4\n")]);
        let why = error(open("series", data.path(), json!({"fields": fields})));
        assert!(why.contains(wanted), "{why}");
    };
    params(json!([]), "data.fields must be 1 to 16 conversions, not 0");
    params(json!(vec!["gasf"; 17]), "data.fields must be 1 to 16 conversions, not 17");
    params(json!(["gaff"]), "source 'series': fields: unknown variant `gaff`, expected one of `gasf`, `gadf`, `mtf`");
    params(json!([{"name": "gasf", "bins": 3}]), "unknown field `bins`");
    params(json!([{"name": "mtf", "size": 3}]), "unknown field `size`, expected `n_bins`");
    params(json!([{"name": "recurrence", "bins": 3}]), "unknown field `bins`");
    params(json!([{"name": "mtf", "n_bins": 1}]), "markov: n_bins must be 2 to 256, not 1");
    params(json!([{"name": "recurrence", "dimension": 0}]), "recurrence: dimension and delay must be at least 1");
}

#[test]
fn only_pairs_of_the_archive_are_recognized() {
    let rows = "1,0.5,-1\n2,1,2.5\n";
    let known = |files: &[(&str, &str)]| {
        let data = folder(files);
        source::recognize(data.path()).map_or("none", |(name, _)| name)
    };
    assert_eq!(known(&[("a_TRAIN.tsv", rows), ("a_TEST.tsv", rows)]), "series");
    assert_eq!(known(&[("a/a_TRAIN.csv", rows), ("a/a_TEST.csv", rows), ("README.md", "x")]), "series");
    let longer = "1,0.5,-1,3\n";
    let bytes = "1,0,255\n2,1,2\n";
    let titled = "label,a,b\n1,0.5,2\n";
    let shares = "0.5,0.5,-1\n";
    for other in [longer, titled, shares, ""] {
        assert_eq!(known(&[("a_TRAIN.tsv", rows), ("a_TEST.tsv", other)]), "none", "{other}");
    }
    assert_eq!(known(&[("a_TRAIN.tsv", bytes), ("a_TEST.tsv", bytes)]), "none");
    assert_eq!(known(&[("a_TRAIN.tsv", rows), ("b_TEST.tsv", rows)]), "none");
    assert_eq!(known(&[("a_TRAIN.tsv", rows)]), "none");
    // A table of pixels, and one of labels beside pictures, stay what they are.
    let digits: String = (0..3).map(|i| format!("{i}{}\n", ",7".repeat(64))).collect();
    assert_eq!(known(&[("mnist_train.csv", &digits), ("mnist_test.csv", &digits)]), "pixels");
    let picture = "P5 2 2 255\nabcd";
    let pictures = [("a_TRAIN.tsv", rows), ("a_TEST.tsv", rows), ("x/1.pgm", picture), ("y/2.pgm", picture)];
    assert_eq!(known(&pictures), "folder");
    let data = folder(&pictures[..2]);
    assert_eq!(source::recognize(&data.path().join("a_TRAIN.tsv")).unwrap().0, "series");
    assert_eq!(source::recognize(&data.path().join("a_TEST.tsv")).unwrap().0, "csv");
    let several = folder(&[("a_TRAIN.tsv", rows), ("a_TEST.tsv", rows), ("b_TRAIN.tsv", rows), ("b_TEST.tsv", rows)]);
    let why = error(open("series", several.path(), json!({})));
    assert!(why.contains("it has several tables, as 'a_TRAIN.tsv' and 'b_TRAIN.tsv'; say with data.table"), "{why}");
    let (_, params) = opened("series", several.path(), json!({"table": "b_TRAIN.tsv"}));
    assert_eq!(params["test_table"], "b_TEST.tsv");
}

#[test]
fn features_are_placed_by_the_training_part() {
    let more = json!({"deep_insight": {"width": 12, "height": 9, "reduction": "pca"}, "group": "site"});
    let (collection, params) = opened("tabular", &golden("measures"), more.clone());
    let names: Vec<String> = (0..9).map(|i| format!("f{i}")).chain(["g0".into(), "g1".into()]).collect();
    assert_eq!((&params["features"], &params["test_table"]), (&json!(names), &json!("test.csv")));
    assert_eq!((&params["label"], &params["id"], &params["color"]), (&json!("label"), &json!("id"), &json!("gray")));
    assert_eq!((shown(&collection)[1].as_str(), shown(&collection)[13].as_str()), ("Train r1 b", "Test t3 -"));
    for (index, wanted) in expected("features").iter().enumerate() {
        same(&pixels(&collection, index), wanted, &index.to_string());
    }
    let (again, second) = source::open("tabular", params.clone()).unwrap();
    assert_eq!((second, pixels(&again, 12)), (params, pixels(&collection, 12)));
    // Neither labels nor what the test part holds change a picture of the training part.
    let train = fs::read_to_string(golden("measures/train.csv")).unwrap();
    let test = fs::read_to_string(golden("measures/test.csv")).unwrap();
    let others = train.replace(",a\n", ",c\n").replacen(",c\n", ",b\n", 2);
    let data = folder(&[("train.csv", &others), ("test.csv", &test.replace("1.3796", "-99"))]);
    let (other, _) = opened("tabular", data.path(), more);
    assert!((0..10).all(|index| pixels(&other, index) == pixels(&collection, index)));
    assert!(pixels(&other, 10) != pixels(&collection, 10));
    // By default with t-SNE, and for networks of colors.
    let (wide, _) = opened("tabular", &golden("measures"), json!({"color": "rgb", "meta": ["site"]}));
    let image = wide.dataset.image(0).unwrap();
    assert_eq!(image.dims(), [1, 120, 120, 3]);
    assert!(image.pixels().chunks_exact(3).all(|pixel| pixel[0] == pixel[2]));
}

#[test]
fn rows_that_are_no_training_rows_place_nothing() {
    let table = "a,b,c,Usage,label\n1,9,2,train,x\n2,7,4,train,y\n3,5,,train,x\n90,-90,9,val,y\n,90,9,test,\n";
    let data = folder(&[("t.csv", table)]);
    let small = json!({"width": 3, "height": 3, "reduction": "pca"});
    let why = error(open("tabular", data.path(), json!({"deep_insight": small})));
    assert!(
        why.contains("t.csv': line 4: column 'c' holds no value; fill it in, set data.missing = \"median\""),
        "{why}"
    );
    let (collection, params) = opened("tabular", data.path(), json!({"deep_insight": small, "missing": "median"}));
    assert_eq!(params["features"], json!(["a", "b", "c"]));
    let parts: Vec<Part> = collection.dataset.rows().iter().map(|row| row.part).collect();
    assert_eq!(parts, [Part::Train, Part::Train, Part::Train, Part::Validation, Part::Test]);
    let alone: String = table.lines().take(4).map(|line| format!("{line}\n")).collect();
    let alone = folder(&[("t.csv", &alone)]);
    let (alone, _) = opened("tabular", alone.path(), json!({"deep_insight": small, "missing": "median"}));
    assert!((0..3).all(|index| pixels(&alone, index) == pixels(&collection, index)));
    // Medians are those of the training part: 2 of 1 to 3, and 3 of 2 and 4.
    let filled = folder(&[("t.csv", &table.replace("\n,90", "\n2,90").replace("3,5,,", "3,5,3,"))]);
    let (filled, _) = opened("tabular", filled.path(), json!({"deep_insight": small}));
    assert!((0..5).all(|index| pixels(&filled, index) == pixels(&collection, index)));
}

#[test]
fn wrong_features_are_named_with_their_line() {
    let wrong = |text: &str, more: Value, wanted: &str| {
        let data = folder(&[("t.csv", text)]);
        let why = error(open("tabular", data.path(), more));
        assert!(why.contains(wanted), "{why}");
    };
    wrong("", json!({}), "t.csv': it is empty; expected a header line");
    wrong("1,2\n3,4\n", json!({}), "it has no header; its first line must name the columns");
    wrong("a,label\n", json!({}), "it has no rows");
    wrong(
        "a,label\nu,x\n",
        json!({}),
        "no column is left that holds numbers, the features; say which with data.features",
    );
    wrong(
        "a,b,label\n1,2,x\n3,u,y\n",
        json!({"features": ["a", "b"]}),
        "t.csv': line 3: column 'b' holds 'u', which is no number",
    );
    wrong("a,label\n1,x\n", json!({"features": "z"}), "data.features: unknown column 'z', expected one of a, label");
    wrong("a,label\n1,x\n", json!({"features": ["a", "label"]}), "no column is left that may be the label");
    let twice = json!({"features": ["a", "label"], "label": "label"});
    wrong("a,label\n1,x\n", twice, "data.features: 'label' is a label, id, part, group");
    wrong("a,Usage,label\n1,val,x\n", json!({}), "no row of it is of the training part");
    let narrow = json!({"deep_insight": {"width": 0}});
    wrong("a,label\n1,x\n", narrow, "t.csv': a matrix of 120×0 is no picture");
    wrong("a,label\n1,x\n", json!({"deep_insight": {"wide": 1}}), "unknown field `wide`");
    let data = folder(&[("train.csv", "a,label\n1,x\n2,y\n"), ("test.csv", "b\n1\n")]);
    let why = error(open("tabular", data.path(), json!({})));
    assert!(why.contains("test.csv': column 'a' of the training part's table is not in it"), "{why}");
    let words = folder(&[("t.csv", "a,b,label\n1,u,x\n2,v,y\n")]);
    let (collection, params) = opened("tabular", words.path(), json!({}));
    assert_eq!(params["features"], json!(["a"]));
    assert!(collection.warnings[0].contains("1 columns hold something else than numbers and are no features, as 'b'"));
}

/// The scene of the golden file as a table of boxes, under a name.
fn traffic(scene: &Value, name: &str) -> String {
    let boxes = scene["frames"].as_array().unwrap().iter().enumerate().flat_map(|(before, agents)| {
        agents.as_array().unwrap().iter().map(move |agent| {
            let at = |key: &str, i: usize| agent[key][i].as_f64().unwrap();
            let ([x, y], [length, width]) = ([at("center", 0), at("center", 1)], [at("extent", 0), at("extent", 1)]);
            format!("{name},{},{},{x},{y},{},{length},{width}\n", 7 - before, agent["id"], agent["yaw"])
        })
    });
    boxes.collect()
}

#[test]
fn traffic_is_drawn_as_l5kit_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/convert/raster.json");
    let scene = serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap()["scene"].clone();
    let header = "scene,frame,track,x,y,yaw,length,width\n";
    // Another scene, and another order, change nothing.
    let mut boxes: Vec<String> = traffic(&scene, "a").lines().map(|line| format!("{line}\n")).collect();
    boxes.reverse();
    let boxes = [header, &traffic(&scene, "b").replace("b,7,0,", "b,7,9,"), &boxes.concat()].concat();
    let samples = format!("id,scene,track,frame,left,right\nu,a,{0},7,0.5,-1\nv,b,{0},7,1,2\n", scene["ego"]);
    let test = format!("id,scene,track,frame\nw,a,{},6\n", scene["ego"]);
    let data = folder(&[("boxes.csv", &boxes), ("train.csv", &samples), ("test.csv", &test)]);
    let params = json!({"raster": scene["raster"], "label": ["left", "right"], "target": "regression"});
    let (collection, params) = opened("trajectories", data.path(), params);
    assert_eq!(
        (&params["boxes"], &params["test_table"], &params["group"]),
        (&json!("boxes.csv"), &json!("test.csv"), &json!("scene"))
    );
    let wanted: Vec<u8> = serde_json::from_value(scene["pixels"].clone()).unwrap();
    // Without the map's three channels.
    let wanted: Vec<u8> = wanted.chunks_exact(7).flat_map(|pixel| &pixel[..4]).copied().collect();
    assert_eq!(collection.dataset.image(0).unwrap().dims(), [1, 32, 40, 4]);
    assert_eq!(pixels(&collection, 0), wanted);
    assert_eq!(pixels(&collection, 1), wanted);
    // In the first frame nothing was before.
    assert!(pixels(&collection, 2).chunks_exact(4).all(|pixel| pixel[1] == 0 && pixel[3] == 0));
    let rows = collection.dataset.rows();
    assert_eq!(rows.iter().map(|row| row.group.as_deref().unwrap()).collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(rows[0].target, Some(sconce_data::Target::Dense(vec![0.5, -1.0])));
    let (again, second) = source::open("trajectories", params.clone()).unwrap();
    assert_eq!((second, pixels(&again, 2)), (params, pixels(&collection, 2)));
}

#[test]
fn wrong_boxes_and_samples_are_named_with_their_line() {
    let header = "scene,frame,track,x,y,yaw,length,width";
    let wrong = |boxes: &str, samples: &str, more: Value, wanted: &str| {
        let data = folder(&[("boxes.csv", &format!("{header}\n{boxes}\n")), ("t.csv", samples)]);
        let why = error(open("trajectories", data.path(), more));
        assert!(why.contains(wanted), "{why}");
    };
    let (one, sample) = ("a,7,1,0,0,0,4,2", "scene,frame,track,label\na,7,1,x\n");
    wrong(one, sample, json!({}), "it opens");
    wrong("a,7,1,0,0,0,4", sample, json!({}), "boxes.csv': line 2: it has 7 cells, expected 8");
    wrong("a,7,1,0,x,0,4,2", sample, json!({}), "boxes.csv': line 2: column 'y' holds 'x', which is no number");
    wrong("a,7,1,0,NaN,0,4,2", sample, json!({}), "line 2: column 'y' holds 'NaN', which is no number");
    wrong("a,7.5,1,0,0,0,4,2", sample, json!({}), "line 2: column 'frame' holds '7.5', which is no whole number");
    wrong("a,7,-1,0,0,0,4,2", sample, json!({}), "line 2: column 'track' holds '-1', which is no whole number");
    let twice = format!("{one}\n{one}");
    wrong(&twice, sample, json!({}), "boxes.csv': track 1 has two boxes in frame 7 of scene 'a'");
    for key in ["b,7,1", "a,6,1", "a,7,2", "a,-9223372036854775808,1"] {
        let samples = format!("scene,frame,track,label\n{key},x\n");
        wrong(one, &samples, json!({}), "t.csv': line 2: track ");
    }
    wrong(
        one,
        "scene,frame,label\na,7,x\n",
        json!({}),
        "t.csv': column 'track' is not in it; expected scene, frame, track",
    );
    wrong(
        one,
        sample,
        json!({"raster": {"history": 101}}),
        "raster: raster_size must be 1 to 4096 and history 0 to 100",
    );
    wrong(one, sample, json!({"memory_mb": 0}), "source 'trajectories': memory_mb must be at least 1");
    wrong(one, sample, json!({"group": "label"}), "t.csv': no column is left that may be the label");
    wrong(one, sample, json!({"group": "city"}), "data.group: unknown column 'city', expected one of label");
    let data = folder(&[("t.csv", sample)]);
    assert!(error(open("trajectories", data.path(), json!({}))).contains("no table below it has the columns of boxes"));
    let boxes = format!("{header}\n{one}\n");
    let data = folder(&[("a.csv", &boxes), ("b.csv", &boxes), ("t.csv", sample)]);
    let why = error(open("trajectories", data.path(), json!({})));
    assert!(why.contains("several tables of boxes, as 'a.csv' and 'b.csv'; say which with data.boxes"), "{why}");
}
