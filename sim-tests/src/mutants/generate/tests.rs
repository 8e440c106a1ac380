//! Each operator on a small source.

use std::io;

use super::{OPERATORS, all, draw, in_file};

const SOURCE: &str = r#"
const LEFT_ALONE: usize = 1 + 1;

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text[1..2])?;
        Ok(())
    }
}

impl Log {
    async fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all().await?;
        self.note(3);
        Ok(())
    }

    fn take(&mut self, at: u64, upto: u64) -> Option<u64> {
        if at < upto {
            return None;
        }
        self.check(at)?;
        match self.open && at == 1_000 {
            true => Some(self.names[at - 1]),
            false => self.first(at..upto).filter(|it| *it > 2),
        }
    }

    fn told(&mut self) {
        self.env.report(Notice::Full { left: 1 });
        let mut bytes = Vec::with_capacity(2);
        debug_assert!(bytes.len() < 3);
        notices.push(Notice::Gone);
    }

    fn tell(&mut self) -> Result<(), Error> {
        self.damaged.clear();
        for path in damaged {
            self.env.report(Notice::Damaged { path });
        }
        Ok(())
    }

    const fn fixed(at: u64) -> u64 {
        at + 1
    }

    fn name(&self) -> &'static str {
        if self.open { "open" } else { "closed" }
    }
}

fn copy(from: &Log) -> Result<(), Error> {
    if let Err(why) = from.open() {
        tell(why);
    }
    for it in 0..=from.last.min(3) {
        match it {
            0 if from.open => {}
            _ => drop(it),
        }
    }
    from.end().map_err(Error::Io)
}

#[cfg(test)]
mod tests {
    fn f() -> bool {
        1 < 2
    }
}
"#;

/// Every operator is there, each place has a name, and what no run shows is left alone.
#[test]
fn operators_on_a_small_source() {
    let mutants = in_file("src/product/log/a.rs", SOURCE).expect("it is parsed");
    for operator in &OPERATORS {
        let is_of_it = |id: &str| id.contains(&format!(" {}-", operator.name));
        assert!(
            mutants.iter().any(|it| is_of_it(&it.id)),
            "{}",
            operator.name
        );
    }
    let lines: Vec<_> = mutants
        .iter()
        .map(|it| format!("{}  {}", it.id, it.breaks))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

/// Each is Rust, and differs from the source in its range alone.
#[test]
fn each_mutant_is_another_text_that_parses() {
    for mutant in in_file("src/product/log/a.rs", SOURCE).expect("it is parsed") {
        let changed = mutant.apply(|_| Ok(SOURCE.to_owned())).expect("it applies");
        let [(file, text)] = changed.as_slice() else {
            panic!("{} changes one file", mutant.id);
        };
        assert_eq!(file, "src/product/log/a.rs");
        assert_ne!(text, SOURCE, "{}", mutant.id);
        syn::parse_file(text).unwrap_or_else(|why| panic!("{}: {why}", mutant.id));
        let moved = mutant.apply(|_| Ok(format!("\n{SOURCE}")));
        let moved = moved.expect_err("other text stands there").to_string();
        assert!(moved.contains("other text"), "{moved}");
    }
}

/// Text above or below a mutant changes its line at most; a draw is the same each time.
#[test]
fn ids_and_draws_are_stable() {
    let names = |text: &str| {
        let mutants = in_file("src/product/log/a.rs", text).expect("it is parsed");
        let names = mutants.into_iter().map(|it| it.breaks);
        names.collect::<Vec<_>>()
    };
    let moved = format!("// A line more.\n{SOURCE}\nfn further() {{}}\n");
    assert_eq!(names(SOURCE), names(&moved));

    let drawn = |seed| {
        let mutants = in_file("src/product/log/a.rs", SOURCE).expect("it is parsed");
        let ids = draw(mutants, seed).into_iter().map(|it| it.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    let mut sorted = [drawn(1), drawn(2)];
    sorted.iter_mut().for_each(|ids| ids.sort());
    assert_eq!(
        sorted[0], sorted[1],
        "a draw is an order, and leaves none out"
    );
}

/// Modules of tests, and other parts of the product, are not looked at.
#[test]
fn files_are_found_by_their_modules() {
    let read = |file: &str| {
        Ok(match file {
            "src/product/lib.rs" => "pub mod env;\npub mod raft;\n".to_owned(),
            "src/product/raft/mod.rs" => {
                "mod vote;\n#[cfg(test)]\nmod fake;\nfn f(a: u8) -> bool { a < 1 }".to_owned()
            }
            "src/product/raft/vote.rs" => "mod inner;".to_owned(),
            "src/product/raft/vote/inner.rs"
            | "src/product/env.rs"
            | "src/product/raft/fake.rs" => "fn g(a: u8) -> bool { a > 20 }".to_owned(),
            _ => return Err(io::ErrorKind::NotFound.into()),
        })
    };
    let mutants = all(read).expect("all is read");
    let mut files: Vec<_> = mutants.iter().filter_map(|it| it.replacement()).collect();
    files.dedup_by_key(|it| &it.file);
    let files: Vec<_> = files.iter().map(|it| it.file.as_str()).collect();
    assert_eq!(
        files,
        ["src/product/raft/mod.rs", "src/product/raft/vote/inner.rs"]
    );
}
