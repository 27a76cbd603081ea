//! What the documents name exists.

use std::path::Path;

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
