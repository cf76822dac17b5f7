#pragma once

#include <signal.h>

#include <boost/asio/signal_set.hpp>

namespace locker::client {

// Signals of a program that runs another one in a process group of its own, as a shell does.

/// Adds to `signals` those that are passed on to the command or report on it. Signals that our
/// parent made us ignore, as `nohup` does, stay ignored; returns them, for the command to ignore
/// too. Also ignores SIGPIPE and SIGXFSZ in this process.
[[nodiscard]] sigset_t await_job_signals(boost::asio::signal_set& signals);

/// Whether the signal asks a process to end, or is of a timer or a limit and ends it by default.
/// False for faults of our own, such as SIGSEGV and SIGABRT.
[[nodiscard]] bool ends_job(int number);

/// Stops our whole process group, because a shell watches the whole job, such as a pipeline: with
/// SIGTTIN or SIGTTOU as the terminal does, else as Ctrl-Z does. Returns true when we are
/// continued. Returns false immediately if the kernel does not stop us, because no shell could
/// continue us; rarely also after a stop.
[[nodiscard]] bool stop_job(int number);

}  // namespace locker::client
