//! A file for readers, a part of which says what a program counts.

use std::path::PathBuf;
use std::{fs, io};

use super::{Book, document, in_place};

/// The part of a program, and the file it stands in.
#[derive(Debug)]
pub struct Reference {
    path: PathBuf,
    program: &'static str,
    table: String,
}

impl Reference {
    /// What stands in the file between the marks of a program.
    pub fn new(path: &str, program: &'static str, book: &Book) -> Self {
        Self { path: path.into(), program, table: document(book.rows()) }
    }

    /// Brings the part up to date.
    ///
    /// # Errors
    /// When the file cannot be read or written, or has lost its marks.
    pub fn write(&self) -> io::Result<()> {
        fs::write(&self.path, self.updated(&fs::read_to_string(&self.path)?)?)?;
        println!("wrote {}", self.path.display());
        Ok(())
    }

    /// Whether it is.
    ///
    /// # Errors
    /// As for [`Reference::write`].
    pub fn is_current(&self) -> io::Result<bool> {
        let text = fs::read_to_string(&self.path)?;
        Ok(self.updated(&text)? == text)
    }

    fn updated(&self, text: &str) -> io::Result<String> {
        in_place(text, self.program, &self.table)
            .ok_or_else(|| io::Error::other(format!("{} has lost its marks", self.path.display())))
    }
}
