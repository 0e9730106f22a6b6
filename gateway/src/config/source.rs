//! Where the configuration comes from, and the reading of it again while the gateway runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Config, Layers, parse_env_file};

/// Flags, environment and file, of which only the file may change. It holds secrets and so has no `Debug`.
#[derive(Default)]
pub struct Source {
    /// Flags, by [`super::Setting::path`].
    pub flags: BTreeMap<&'static str, String>,
    /// The file.
    pub file: Option<PathBuf>,
    /// Environment variables of a file; those of the process win.
    pub variables: BTreeMap<String, String>,
    /// The text of the file when it was read last.
    text: String,
}

impl Source {
    /// A source, with the environment variables of a file if one is given.
    ///
    /// # Errors
    /// A message when that file cannot be read.
    pub fn new(
        flags: BTreeMap<&'static str, String>,
        file: Option<PathBuf>,
        variables: Option<&Path>,
    ) -> Result<Self, String> {
        let variables = match variables {
            None => BTreeMap::new(),
            Some(path) => {
                let text = read("environment file", path)?;
                parse_env_file(&path.display().to_string(), &text).map_err(|error| error.to_string())?
            }
        };
        Ok(Self { flags, file, variables, text: String::new() })
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// A message with everything that is missing or wrong.
    pub fn load(&mut self) -> Result<Config, String> {
        self.text = self.read_file()?;
        self.resolve()
    }

    /// Reads the configuration again, if its file has changed.
    ///
    /// # Errors
    /// A message with everything that is missing or wrong; once for each state of the file.
    pub fn reload(&mut self) -> Result<Option<Config>, String> {
        let text = self.read_file()?;
        if text == self.text {
            return Ok(None);
        }
        self.text = text;
        self.resolve().map(Some)
    }

    fn read_file(&self) -> Result<String, String> {
        self.file.as_deref().map_or_else(|| Ok(String::new()), |path| read("configuration file", path))
    }

    fn resolve(&self) -> Result<Config, String> {
        let name = self.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let environment = |name: &str| {
            let set = std::env::var(name).ok().filter(|value| !value.is_empty());
            set.or_else(|| self.variables.get(name).cloned())
        };
        let hostname = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let hostname = if hostname.trim().is_empty() { "localhost" } else { hostname.trim() };
        Layers::parse_file(&name, &self.text)
            .and_then(|file| Config::resolve(Layers::new(self.flags.clone(), &environment, file), hostname))
            .map_err(|error| error.to_string())
    }
}

fn read(what: &str, path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("the {what} {} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_bad_one_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        let write = |more: &str| {
            let text = format!(
                "mud: {{name: Dawn}}\nrouter: {{primary: {{name: '*i4', host: h}}}}\n\
                 gateway: {{auth: {{secret: a-key-that-is-long}}}}\n{more}"
            );
            std::fs::write(&path, text).unwrap();
        };
        write("");
        let mut source = Source::new(BTreeMap::new(), Some(path.clone()), None).unwrap();
        assert!(source.load().unwrap().policy.ignore.is_empty());
        assert!(source.reload().unwrap().is_none());
        write("policies: {bans: ['*@SpamMUD']}\nrouter.packets: 1\n");
        assert!(source.reload().is_err());
        assert!(source.reload().unwrap().is_none(), "told already");
        write("policies: {bans: ['*@SpamMUD']}\n");
        assert_eq!(source.reload().unwrap().unwrap().policy.ignore.len(), 1);
    }
}
