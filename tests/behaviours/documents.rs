//! What the documents name exists.

use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn every_path_that_the_architecture_page_names_exists() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let spans = page.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = spans
        .filter(|span| !span.contains(' '))
        .filter(|span| ["core/", "cli/", "providers/", "tests/"].iter().any(|room| span.starts_with(room)))
        .collect();
    assert!(paths.len() > 40, "the page names only {} paths: is it read right?", paths.len());
    let missing: Vec<_> = paths.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_page_and_program_that_the_readme_names_exists() {
    let page = std::fs::read_to_string(root().join("README.md")).unwrap();
    let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local: Vec<&str> = links.filter(|link| !link.contains("://")).collect();
    assert!(local.len() > 4);
    for path in local.into_iter().chain(["tests/demo", "tests/run"]) {
        assert!(root().join(path).exists(), "{path}");
    }
}

/// `docs/generate` makes them; here it only looks.
#[test]
fn the_providers_pages_are_made_from_their_own() {
    let output = Command::new(root().join("docs/generate")).arg("--check").output().unwrap();
    let said = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
    assert!(output.status.success(), "run docs/generate, which makes these anew:\n{}", said.concat());
    let pages = std::fs::read_dir(root().join("docs/providers")).unwrap().count();
    let providers = std::fs::read_dir(root().join("providers")).unwrap().count();
    assert_eq!(pages, providers - 2, "one for each provider; the sdk and the example are none");
}

#[test]
fn every_link_of_a_page_leads_to_a_file() {
    let pages = std::fs::read_dir(root().join("docs/providers")).unwrap().map(|page| page.unwrap().path());
    for page in pages.chain([root().join("docs/write-a-provider.md")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap();
            assert!(page.parent().unwrap().join(file).exists(), "{}: {link}", page.display());
        }
    }
}

/// The tutorial's code is code that is compiled and tested.
#[test]
fn the_tutorial_shows_every_file_of_its_example_as_it_is() {
    let page = std::fs::read_to_string(root().join("docs/write-a-provider.md")).unwrap();
    let mut shown = Vec::new();
    for rest in page.split("<!-- ").skip(1) {
        let (path, rest) = rest.split_once(" -->\n```").unwrap();
        let (_, block) = rest.split_once('\n').unwrap();
        let (block, _) = block.split_once("\n```\n").unwrap();
        let file = std::fs::read_to_string(root().join(path)).unwrap();
        assert_eq!(format!("{block}\n"), file, "{path} differs: run docs/generate");
        shown.push(path.trim_start_matches("providers/example/").to_owned());
    }
    let sources = std::fs::read_dir(root().join("providers/example/src")).unwrap();
    let mut files: Vec<String> =
        sources.map(|file| format!("src/{}", file.unwrap().file_name().to_str().unwrap())).collect();
    files.push("Cargo.toml".to_owned());
    files.sort();
    shown.sort();
    assert_eq!(shown, files);
}
