//! `tally init`: a small commented spec that works as it is.

use std::io::Write as _;

use crate::args::InitArgs;
use crate::errors::{CliError, Exit};
use crate::project::ENTRY;
use crate::show::terminal::out;

const SPEC: &str = include_str!("init.kdl");

pub fn run(args: &InitArgs) -> Result<Exit, CliError> {
    let path = args.folder.join(ENTRY);
    let failed = |error| CliError::File(format!("cannot write `{}`", path.display()), error);
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    let spec = if args.sim {
        SPEC.replace(
            "cluster demo\n",
            "cluster demo {\n    host laptop \"sim:laptop\"       // simulated: no Docker is touched\n}\n",
        )
    } else {
        SPEC.to_owned()
    };
    // An existing spec is never overwritten.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    match file {
        Ok(mut file) => file.write_all(spec.as_bytes()).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(CliError::Usage(
                format!("`{}` exists already", path.display()),
                "Name another folder: `tally init FOLDER`.".to_owned(),
            ));
        }
        Err(error) => return Err(failed(error)),
    }
    let at = match args.folder.to_str() {
        Some(".") | None => String::new(),
        Some(folder) => format!(" {folder}"),
    };
    out(&format!(
        "wrote {}\n\nnext:  tally plan{at}     shows what would run\n       tally apply{at}    runs it\n",
        path.display()
    ));
    Ok(Exit::Done)
}
