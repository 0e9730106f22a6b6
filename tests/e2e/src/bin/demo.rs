//! Shows the main job on the cluster and says which step failed, if one does.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Duration;

use mudgateway_e2e::install;
use mudgateway_e2e::story::{Narrator, tell};

struct Screen {
    step: String,
    count: usize,
}

impl Narrator for Screen {
    fn begin(&mut self, step: &str) {
        self.count += 1;
        step.clone_into(&mut self.step);
        print!("{:3}. {step} ... ", self.count);
        // Only a progress line: if it cannot be shown, the demo is none the worse.
        let _ = stdout().flush();
    }

    fn done(&mut self, took: Duration) {
        println!("ok ({:.1} s)", took.as_secs_f64());
    }

    fn show(&mut self, text: &str) {
        for line in text.lines() {
            println!("     | {line}");
        }
    }
}

fn main() -> ExitCode {
    let mut screen = Screen { step: String::new(), count: 0 };
    match tell(&mut screen) {
        Ok(()) => {
            println!("{NEXT}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED");
            eprintln!(
                "\n{}\nthe demo failed at step {}, \"{}\":\n{error}",
                install::diagnosis(),
                screen.count,
                screen.step
            );
            ExitCode::FAILURE
        }
    }
}

const NEXT: &str = "
The demo went well, and the cluster goes on running. What to try next:
  tests/cluster/cluster exec kubectl get mudgateways -A
  tests/cluster/cluster exec kubectl explain mudgateway.spec
  tests/cluster/cluster exec kubectl describe mudgateway dawn -n tenant-b
  tests/cluster/cluster exec kubectl edit mudgateway dawn -n tenant-b      # a change reaches the pod
  tests/cluster/cluster exec kubectl delete mudgateway dawn -n tenant-b    # and everything made for it goes
  make demo-down                                                           # remove it all";
